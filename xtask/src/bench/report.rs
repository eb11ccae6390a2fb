//! What comes of it all: tables on the screen, and `docs/performance.md`.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

use super::figures::Figures;
use super::linux::Kernel;
use crate::arch::{Arch, Window};
use crate::say;
use crate::setup::{self, Toolchain};

/// What our two programs say, in one mode and layout.
pub struct Exact {
    /// Instructions.
    pub times: Figures,
    /// Stores, `invlpg`, flushes.
    pub counts: Figures,
}

/// All that is counted.
pub struct Counted {
    /// By Linux's module.
    pub linux: Figures,
    /// By us.
    pub ours: BTreeMap<(Arch, Window), Exact>,
}

impl Counted {
    /// Ours, in one mode and layout.
    pub fn of(&self, arch: Arch, window: Window) -> Result<&Exact> {
        self.ours.get(&(arch, window)).with_context(|| format!("{arch} has not been measured"))
    }
}

/// A table: the first column is text.
pub struct Table {
    /// What it is about.
    pub title: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// One without rows.
    pub fn new(title: &str, header: &[&str]) -> Self {
        Self { title: title.to_owned(), header: header.iter().map(|&cell| cell.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.header.len());
        self.rows.push(row);
    }

    /// To the screen.
    pub fn print(&self) {
        say::heading(&self.title);
        let header: Vec<&str> = self.header.iter().map(String::as_str).collect();
        say::table(&header, &self.rows);
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = format!("|---|{}\n", "---:|".repeat(self.header.len() - 1));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}{rule}{rows}", line(&self.header))
    }
}

/// On what it was measured.
pub struct Host {
    cpu: String,
    qemu: String,
    rustc: String,
    linux: String,
}

impl Host {
    /// Looks.
    pub fn look(toolchain: &Toolchain, kernel: &Kernel) -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            cpu: name.map_or("of an unknown name", |(_, name)| name).to_owned(),
            qemu: setup::qemu_says().unwrap_or_default(),
            rustc: toolchain.version.to_string(),
            linux: format!("{} (Debian {})", kernel.release, kernel.version),
        }
    }

    /// In a few lines of Markdown.
    pub fn markdown(&self) -> String {
        let Self { cpu, qemu, rustc, linux } = self;
        format!("- host: {cpu}\n- QEMU {qemu}\n- rustc {rustc}\n- Linux {linux}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_in_markdown() {
        let mut table = Table::new("costs", &["operation", "ours"]);
        table.push(vec!["pair".to_owned(), "20".to_owned()]);
        assert_eq!(table.markdown(), "| operation | ours |\n|---|---:|\n| pair | 20 |\n");
    }
}
