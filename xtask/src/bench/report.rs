//! What comes of it all: tables on the screen, and `docs/performance.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::figures::Figures;
use super::growth::{self, Series};
use super::linux::Kernel;
use super::{plot, rows};
use crate::arch::{Arch, Window};
use crate::readme;
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

/// `docs/performance.md`, what it shows, and the table in README.md.
pub fn write(root: &Path, host: &Host, counted: &Counted, times: Option<&Table>, series: &[Series]) -> Result<()> {
    let docs = root.join("docs");
    let plots = [
        ("performance-linux.svg", "What an operation costs, on 32-bit PAE"),
        ("performance-nested.svg", "Maps at a time"),
        ("performance-pool.svg", "A pool of more entries"),
        ("performance-cpus.svg", "More CPUs, all at once"),
    ];
    let [of_linux, nested, pool, cpus] = plots.map(|(file, _)| docs.join(file));
    plot::bars(&of_linux, plots[0].1, &rows::PLOTTED, &rows::plotted(counted)?)?;
    let of = |scale: &str| series.iter().filter(|series| series.scale == scale).collect::<Vec<_>>();
    plot::lines(&nested, plots[1].1, "maps at a time", false, &of("nested"))?;
    plot::lines(&pool, plots[2].1, "entries", true, &of("entries"))?;
    plot::lines(&cpus, plots[3].1, "CPUs", false, &of("CPUs"))?;

    let [of_linux, nested, pool, cpus] = plots.map(|(file, title)| format!("![{title}]({file})\n"));
    let mut text = format!("{INTRODUCTION}\n{}\n{HOW}\n", host.markdown());
    let tables = rows::exact_tables(counted)?;
    for (index, table) in tables.iter().enumerate() {
        text += &format!("## {}\n\n{}\n", table.title, table.markdown());
        if index == 0 {
            text += &format!("{of_linux}\n{UNLIKE}\n");
        }
    }
    if let Some(times) = times {
        text += &format!("## {}\n\n{}\n{TIME}\n", times.title, times.markdown());
    }
    text += &format!("## How costs grow\n\n{GROWTH}\n");
    for (table, plot) in growth::tables(series).iter().zip([nested, pool, cpus]) {
        text += &format!("{}\n{plot}\n", table.markdown());
    }
    let readme = root.join("README.md");
    let old = fs::read_to_string(&readme).context("cannot read README.md")?;
    let new = readme::with_part(&old, "performance", &rows::for_readme(counted)?.markdown())?;
    for (file, text) in [(docs.join("performance.md"), text.trim_end().to_owned() + "\n"), (readme, new)] {
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        say::note(&format!("written    {}", file.display()));
    }
    Ok(())
}

const INTRODUCTION: &str = "\
# What it costs, beside Linux

Our maps, those of Linux, and maps written by hand, on the same emulated processor. `cargo xtask bench` has made this page and its plots: it
fetches Debian's kernel, builds a module for it (`benches/linux/`) and our bench programs (`benches/versus.rs`, `benches/growth.rs`), boots all
of them, and writes what they say. `cargo xtask bench --exact` prints what is counted, and writes nothing.

Measured with:
";

const HOW: &str = "\
## How to read it

An instruction is one tick of the time-stamp counter under QEMU's `-icount shift=0`. Each operation runs in two loops, one twice as long as the
other; their difference, without that of an empty loop, is what the operation costs. Each figure was taken in two boots, which agreed to the digit,
or this page would not have been written. Each step of a string instruction counts as one; so does `invlpg`, which costs a processor a hundred
and more. So stores to page tables and `invlpg` are counted for themselves: in our kernel by a `Machine` that counts (feature `counted` of
package `kernel`), in Linux by a trap behind each instruction, which looks whether the next one is an `invlpg` or a load of CR3 or CR4 (a
flush of all), and whether the table has changed.

- *ours*: one window for all CPUs, in a kernel with several CPUs, which asks at each map on which it is; *own window*: each CPU sees its own window at
  the same addresses. Both enter and leave the atomic context, unless preemption is off already.
- *Linux*: `kmap_atomic` and `kunmap_atomic`, `kmap_local_page` and `kunmap_local`, or `kmap` and `kunmap`, in Debian's kernel for several CPUs.
- *by hand*: `benches/versus/hand.rs`, what somebody writes in `unsafe` Rust who knows the processor: test for lowmem, test that the slot is empty,
  stores, `invlpg`; and preemption off and on, unless it is off already. Nothing there keeps a caller from a mistake. There is no pool by hand.
";

const UNLIKE: &str = "\
### What is not alike

- Linux is booted with `mitigations=off`: what it does against faults of real processors is not counted. Its functions begin with a `nop` for tracing,
  as Debian has it.
- Linux's `kmap_atomic` disables page faults, too, and finds its slot on a stack of each task, whose entries a context switch saves; its
  `kmap_local_page` disables migration. Here, types have what Linux finds out.
- Linux calls functions; here, all is compiled into the caller, at each place anew.
- Linux's `copy_highpage` and `clear_highpage` are measured per page as Linux has them; 1 MiB is 256 of them, which can be preempted in between.
  `memcpy_run` is one call, under which preemption is off.
- The entry of a user address: Linux has only the lowest page tables in high memory, and its upper ones in lowmem, and it looks at no reserved bit.
  Here all tables are in high memory, so there are three maps in place of one (two, where each CPU has its own window), and each entry on the way is
  checked.
- By bytes: each step of a string instruction counts, and QEMU does them one by one. A processor with fast ones (ERMS) does not; this table
  cannot show what it gains.
- `kmap`, a page that is still mapped: no user is left, but the entry is there, and is found again, on both sides.
- NX: both kernels here find out at boot whether there is such a bit. `Kernel::no_execute` says it as a `bool`, which is made into the bit at each map; by
  hand the bit lies ready, for two instructions less. A kernel that is built for its processors pays for neither: see [the hot path](hot-path.md), where
  ours and what is written by hand are compared with the same things known, and may differ by one instruction.
- All pages are above 4 GiB where there are such, so that both halves of an entry have something to say.
";

const TIME: &str = "\
Plain TCG translates guest code to the host's; what it takes for `invlpg` or a store to a page table is not what a processor takes, and the host
has other things to do: these are times of this emulator, not of a processor. Both kernels were booted in turn, on a CPU without large pages
(`max,-pse`). TCG drops its whole TLB when `invlpg` hits inside of a large page that it has cached, so a kernel that maps its memory by such would look
several times slower, for no fault of its own. Ours has none in any mode, and the module says of Linux, at each boot, by which level it maps
lowmem: a boot in which that is not 4 KiB is an error. In a boot, each loop runs five times, and the shortest counts.

On 4 CPUs, the time is that from when all have arrived until the last is done, divided by all operations: throughput. The host may have fewer CPUs than
that. Pages in turn are four times as many as the pool has entries: if the host runs one CPU after the other, most are found still mapped; if all at
once, the CPUs take entries from each other, and each flush waits until the host has let all of them run. So these times are the host's more than any other.
";

const GROWTH: &str = "\
In instructions, twice, as above; a cost that grows otherwise than the last column says is an error of the command. On several CPUs, all do the same at
once with pages of their own, and the counter counts the instructions of all of them, waiting included; so what is flat there takes no lock that
others wait for. The pool's kernels have one CPU; the mode without PAE has 1024 entries in a page table, the others 512.
";

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
