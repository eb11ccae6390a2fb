//! Times, in the emulator's plain mode: both kernels in turn, several boots of each.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::figures::Figures;
use super::linux::Kernel;
use super::report::Table;
use super::rows::{ON_ALL_CPUS, ROWS, Row, ratio};
use super::{CPU, boot};
use crate::qemu::Machine;
use crate::say;

/// What the module says of a kernel whose direct map has 4 KiB pages.
const SMALL_PAGES: &str = "maps lowmem by level 1";

/// The least, the middle and the most of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread([f64; 3]);

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        Some(Self([least, values[values.len() / 2], most]))
    }

    fn times(self, factor: f64) -> Self {
        Self(self.0.map(|value| value * factor))
    }

    fn text(this: Option<Self>) -> String {
        this.map_or(String::new(), |Self([least, middle, most])| format!("{least:.0} / {middle:.0} / {most:.0}"))
    }
}

/// The times of all boots.
#[derive(Default)]
pub struct Times {
    linux: Vec<Figures>,
    ours: Vec<Figures>,
}

impl Times {
    /// Boots both kernels in turn, on one CPU and on four.
    pub fn take(kernel: &Kernel, elf: &Path, boots: usize) -> Result<Self> {
        // No large pages: neither kernel maps its memory by any. TCG drops its whole TLB at each `invlpg` inside one that it has cached, and is then
        // slower by a factor of several.
        let cpu = format!("{CPU},-pse");
        let machine = |cpus| Machine { cpus, limit: Duration::from_secs(900), ..Machine::with_cpu(&cpu) };
        let mut times = Self::default();
        for number in 1..=boots {
            for cpus in [1, 4] {
                let machine = machine(cpus);
                say::heading(&format!("Boot {number} of {boots}, of both, on {machine}"));
                times.ours.push(boot(elf, &machine)?);
                let parameters = if cpus == 1 { "rounds=5000 best=5" } else { "rounds=64 threads=1" };
                let (figures, said) = kernel.measure(&machine, parameters)?;
                ensure!(said.contains(SMALL_PAGES), "Linux maps lowmem by large pages, and must not here");
                times.linux.push(figures);
            }
        }
        Ok(times)
    }

    /// The table: in nanoseconds of the host, or in ticks where the host has no counter of its own.
    pub fn table(&self) -> Result<Table> {
        let (unit, factor) = nanoseconds_per_tick().map_or(("ticks", 1.0), |factor| ("ns", factor));
        let all = |name: String, of: &[Figures]| {
            Spread::of(of.iter().filter_map(|figures| figures.timed(&name)).collect())
                .map(|spread| spread.times(factor))
        };
        let title = format!("Time, 32-bit PAE: {unit} in TCG, least / median / most of {} boots", self.ours.len() / 2);
        let header = ["operation", "ours", "Linux", "by hand", "Linux / ours, of the medians"];
        let mut table = Table::new(&title, &header);
        let with_linux = |row: &&Row| row.linux.or(row.local).is_some();
        for row in ROWS.iter().filter(with_linux).chain(ON_ALL_CPUS) {
            let ours = all(format!("ours/{}", row.ours), &self.ours);
            ensure!(ours.is_some(), "our kernel has not measured {}", row.ours);
            let linux = row.linux.or(row.local).and_then(|name| all(name.to_owned(), &self.linux));
            let hand = row.hand.and_then(|name| all(format!("hand/{name}"), &self.ours));
            let median = |spread: Option<Spread>| spread.map(|spread| spread.0[1]);
            table.push(vec![
                row.title.to_owned(),
                Spread::text(ours),
                Spread::text(linux),
                Spread::text(hand),
                ratio(median(linux), median(ours)),
            ]);
        }
        Ok(table)
    }
}

/// How long a tick of the time-stamp counter is. Without `-icount`, QEMU's guests see that of the host.
#[cfg(target_arch = "x86_64")]
fn nanoseconds_per_tick() -> Option<f64> {
    use std::arch::x86_64::_rdtsc;
    use std::time::Instant;

    // SAFETY: reads a counter, which each such processor has.
    let ticks = || unsafe { _rdtsc() };
    let (start, first) = (Instant::now(), ticks());
    std::thread::sleep(Duration::from_millis(300));
    let (time, last) = (start.elapsed(), ticks());
    Some(time.as_nanos() as f64 / last.checked_sub(first)? as f64)
}

#[cfg(not(target_arch = "x86_64"))]
fn nanoseconds_per_tick() -> Option<f64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Some(Spread([1.0, 2.0, 3.0])));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
