//! What is compared with what: the rows of the tables.

use anyhow::{Context, Result};

use super::figures::Figures;
use super::report::{Counted, Exact, Table};
use crate::arch::{Arch, Window};

/// An operation, and what it is called where it is measured.
pub struct Row {
    /// In the table.
    pub title: &'static str,
    /// Behind `ours/`.
    pub ours: &'static str,
    /// Linux, with `kmap_atomic`, or with `kmap` where ours is `kmap`.
    pub linux: Option<&'static str>,
    /// Linux, with `kmap_local_page`.
    pub local: Option<&'static str>,
    /// Behind `hand/`.
    pub hand: Option<&'static str>,
    /// Whether the README has it.
    pub in_readme: bool,
    /// How many words of a page are moved at least, of 32 bits: each counts as an instruction.
    pub pages: u32,
}

const fn row(title: &'static str, ours: &'static str, linux: Option<&'static str>) -> Row {
    Row { title, ours, linux, local: None, hand: None, in_readme: false, pages: 0 }
}

impl Row {
    const fn local(self, name: &'static str) -> Self {
        Self { local: Some(name), ..self }
    }

    const fn hand(self) -> Self {
        Self { hand: Some(self.ours), ..self }
    }

    /// By hand, with another name.
    const fn by_hand(self, name: &'static str) -> Self {
        Self { hand: Some(name), ..self }
    }

    const fn in_readme(self) -> Self {
        Self { in_readme: true, ..self }
    }

    const fn pages(self, pages: u32) -> Self {
        Self { pages, ..self }
    }
}

/// All of them. To add one, measure it under the same name in `benches/versus/operations.rs`, and, if Linux has it, in
/// `benches/linux/highmem_bench.c`.
pub const ROWS: &[Row] = &[
    row("pair", "pair", Some("pair")).local("local_pair").hand().in_readme(),
    row("pair and one read", "pair_and_read", Some("pair_and_read")).local("local_pair_and_read").hand(),
    row("two nested slots", "two_nested", Some("two_nested")).local("local_two_nested").hand().in_readme(),
    row("pair and one read, in an interrupt handler", "pair_in_interrupt", Some("pair_in_interrupt")).hand(),
    row("pair on a lowmem page", "pair_lowmem", Some("pair_lowmem")).local("local_pair_lowmem").hand().in_readme(),
    row("the same page again, and one read", "same_page_again", Some("same_page_again")).hand(),
    row("pair, preemption off already", "pair_within", None).hand(),
    row("pair and one read, preemption off already", "pair_and_read_within", None).hand(),
    row("two nested slots, preemption off already", "two_nested_within", None).hand(),
    row("pair on a lowmem page, preemption off already", "pair_lowmem_within", None).hand(),
    row("the same page again, preemption off already", "same_page_again_within", None).hand(),
    row("the same page again in a lazy slot, and one read", "kept_page_again", Some("same_page_again"))
        .by_hand("same_page_again")
        .in_readme(),
    row("the same page again in a lazy slot, preemption off already", "kept_page_again_within", None)
        .by_hand("same_page_again_within"),
    row("batch of 8, for each page", "batch_of_8", None),
    row("batch of 32, for each page", "batch_of_32", None),
    row("batch of 64, for each page, with one flush of all", "batch_of_64", None),
    row("`clear_highpage`", "clear_highpage", Some("clear_highpage")).hand().pages(1).in_readme(),
    row("`copy_highpage`", "copy_highpage", Some("copy_highpage")).hand().pages(1).in_readme(),
    row("`clear_highpage`, by bytes (`CopyBy::Bytes`)", "clear_highpage_by_bytes", None).pages(4),
    row("`copy_highpage`, by bytes (`CopyBy::Bytes`)", "copy_highpage_by_bytes", None).pages(4),
    row("1 MiB, page by page", "copy_run", Some("copy_run")).hand().pages(256),
    row("1 MiB, as two runs (`memcpy_run`)", "memcpy_run", None).pages(256),
    row("the entry of a user address", "walk", Some("walk")).in_readme(),
    row("local map: pair", "local_pair", None).local("local_pair"),
    row("local map: pair and one read", "local_pair_and_read", None).local("local_pair_and_read"),
    row("local map: two, one under the other", "local_two_nested", None).local("local_two_nested"),
    row("local map: pair on a lowmem page", "local_pair_lowmem", None).local("local_pair_lowmem"),
    row("`kmap`, a page that is still mapped", "kmap_hit", Some("kmap_hit")).in_readme(),
    row("`kmap`, 2048 pages in turn: each is mapped anew", "kmap_remap", Some("kmap_remap")).in_readme(),
    row("`kmap`, a lowmem page", "kmap_lowmem", Some("kmap_lowmem")),
];

/// What all CPUs do at once: timed alone.
pub const ON_ALL_CPUS: &[Row] = &[
    row("`kmap` on 4 CPUs at once, each its own page, still mapped", "kmap_hit_on_4_cpus", Some("kmap_hit_on_4_cpus")),
    row(
        "`kmap` on 4 CPUs at once, each its own 512 pages in turn",
        "kmap_remap_on_4_cpus",
        Some("kmap_remap_on_4_cpus"),
    ),
];

fn number(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if (value - value.round()).abs() < 1e-9 => format!("{value:.0}"),
        Some(value) => format!("{value:.1}"),
    }
}

/// `one` over `other`.
pub fn ratio(one: Option<f64>, other: Option<f64>) -> String {
    match (one, other) {
        (Some(one), Some(other)) if other > 0.0 => format!("{:.2}", one / other),
        _ => String::new(),
    }
}

/// Stores and flushes of one operation: `4 + 1`.
fn counts(figures: &Figures, name: &str) -> String {
    let Some(counts) = figures.counts(name) else { return String::new() };
    let each = |count: u64| {
        let each = count as f64 / counts.units as f64;
        if count.is_multiple_of(counts.units) { format!("{each:.0}") } else { format!("{each:.3}") }
    };
    let flushes = if counts.flushes > 0 { format!(" + {} of all", each(counts.flushes)) } else { String::new() };
    format!("{} + {}{flushes}", each(counts.stores), each(counts.invlpg))
}

/// The tables of instructions: with PAE beside Linux, then the other modes.
pub fn exact_tables(counted: &Counted) -> Result<Vec<Table>> {
    let mut tables = vec![with_linux(counted)?];
    for arch in [Arch::NonPae, Arch::X86_64] {
        tables.push(without_linux(counted, arch)?);
    }
    Ok(tables)
}

fn ours(row: &Row, exact: &Exact) -> Result<Option<f64>> {
    let value = exact.times.exact(&format!("ours/{}", row.ours));
    value.map(Some).with_context(|| format!("our kernel has not measured {}", row.ours))
}

fn hand(row: &Row, exact: &Exact) -> Option<f64> {
    exact.times.exact(&format!("hand/{}", row.hand?))
}

fn with_linux(counted: &Counted) -> Result<Table> {
    let header = [
        "operation",
        "ours",
        "ours, own window",
        "Linux, kmap_atomic or kmap",
        "Linux, kmap_local_page",
        "by hand",
        "by hand, own window",
        "Linux / ours",
        "ours / by hand",
        "stores + invlpg, ours",
        "Linux",
        "by hand",
    ];
    let (shared, own) = (counted.of(Arch::Pae, Window::Shared)?, counted.of(Arch::Pae, Window::Cpu)?);
    let mut table = Table::new("Instructions, 32-bit PAE", &header);
    for row in ROWS {
        let (cost, linux) = (ours(row, shared)?, row.linux.or(row.local).and_then(|name| counted.linux.exact(name)));
        let of_linux = |name: Option<&str>| number(name.and_then(|name| counted.linux.exact(name)));
        let ours_counts = counts(&shared.counts, &format!("ours/{}", row.ours));
        let linux_counts = row.linux.or(row.local).map_or(String::new(), |name| counts(&counted.linux, name));
        let hand_counts = row.hand.map_or(String::new(), |name| counts(&shared.counts, &format!("hand/{name}")));
        table.push(vec![
            row.title.to_owned(),
            number(cost),
            number(ours(row, own)?),
            of_linux(row.linux),
            of_linux(row.local),
            number(hand(row, shared)),
            number(hand(row, own)),
            ratio(linux, cost),
            ratio(cost, hand(row, shared)),
            ours_counts,
            linux_counts,
            hand_counts,
        ]);
    }
    Ok(table)
}

/// What the README shows of it.
pub fn for_readme(counted: &Counted) -> Result<Table> {
    let header = [
        "operation",
        "ours",
        "ours, own window",
        "Linux",
        "by hand",
        "by hand, own window",
        "Linux / ours",
        "ours / by hand",
    ];
    let (shared, own) = (counted.of(Arch::Pae, Window::Shared)?, counted.of(Arch::Pae, Window::Cpu)?);
    let mut table = Table::new("In the README", &header);
    for row in ROWS.iter().filter(|row| row.in_readme) {
        let (cost, linux) = (ours(row, shared)?, row.linux.and_then(|name| counted.linux.exact(name)));
        table.push(vec![
            row.title.to_owned(),
            number(cost),
            number(ours(row, own)?),
            number(linux),
            number(hand(row, shared)),
            number(hand(row, own)),
            ratio(linux, cost),
            ratio(cost, hand(row, shared)),
        ]);
    }
    Ok(table)
}

fn without_linux(counted: &Counted, arch: Arch) -> Result<Table> {
    let header = [
        "operation",
        "ours",
        "ours, own window",
        "by hand",
        "by hand, own window",
        "ours / by hand",
        "stores + invlpg, ours",
    ];
    let (shared, own) = (counted.of(arch, Window::Shared)?, counted.of(arch, Window::Cpu)?);
    let name = if arch == Arch::NonPae { "Instructions, 32 bits without PAE" } else { "Instructions, 64 bits" };
    let mut table = Table::new(name, &header);
    for row in ROWS {
        table.push(vec![
            row.title.to_owned(),
            number(ours(row, shared)?),
            number(ours(row, own)?),
            number(hand(row, shared)),
            number(hand(row, own)),
            ratio(ours(row, shared)?, hand(row, shared)),
            counts(&shared.counts, &format!("ours/{}", row.ours)),
        ]);
    }
    Ok(table)
}

/// For the plot: what is on both sides.
pub fn plotted(counted: &Counted) -> Result<Vec<(String, Vec<Option<f64>>)>> {
    let (shared, own) = (counted.of(Arch::Pae, Window::Shared)?, counted.of(Arch::Pae, Window::Cpu)?);
    let is_short = |row: &&Row| row.pages == 0 && row.linux.is_some();
    let group = |row: &Row| {
        let values = vec![
            ours(row, shared)?,
            ours(row, own)?,
            hand(row, shared),
            row.linux.and_then(|name| counted.linux.exact(name)),
        ];
        Ok((row.title.replace('`', ""), values))
    };
    ROWS.iter().filter(is_short).map(group).collect()
}

/// What [`plotted`] compares.
pub const PLOTTED: [&str; 4] = ["ours", "ours, each CPU its own window", "by hand", "Linux"];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_row_is_of_another_operation() {
        let names: BTreeSet<_> = ROWS.iter().chain(ON_ALL_CPUS).map(|row| row.ours).collect();
        assert_eq!(names.len(), ROWS.len() + ON_ALL_CPUS.len());
    }

    #[test]
    fn numbers_are_as_exact_as_they_are() {
        assert_eq!(number(Some(20.0)), "20");
        assert_eq!(number(Some(650.634)), "650.6");
        assert_eq!(number(None), "");
        assert_eq!(ratio(Some(254.0), Some(20.0)), "12.70");
        assert_eq!(ratio(Some(254.0), None), "");
    }
}
