//! The lines that measuring programs print, ours and the module for Linux, and what they come to.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

/// What stands before the lines of the module.
const OF_THE_MODULE: &str = "highmem_bench: ";

/// Two runs of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Loops {
    short: u64,
    long: u64,
    rounds: u64,
    units: u64,
}

/// What one operation asks of the processor, or more of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Words stored to page tables.
    pub stores: u64,
    /// `invlpg`.
    pub invlpg: u64,
    /// Flushes of all.
    pub flushes: u64,
    /// How many operations.
    pub units: u64,
}

/// All that one run of a program, or of the module, says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    loops: BTreeMap<String, Loops>,
    totals: BTreeMap<String, (u64, u64)>,
    counts: BTreeMap<String, Counts>,
}

impl Figures {
    /// Reads what a program wrote to the serial port.
    ///
    /// # Errors
    ///
    /// If it has no figure in it, or one that makes no sense.
    pub fn parse(output: &str) -> Result<Self> {
        let mut figures = Self::default();
        for line in output.lines() {
            let line = line.split_once(OF_THE_MODULE).map_or(line, |(_, line)| line).trim();
            figures.take(line).with_context(|| format!("a line that makes no sense: `{line}`"))?;
        }
        if figures == Self::default() {
            bail!("the program has measured nothing");
        }
        Ok(figures)
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let mut words = line.split(' ');
        let (Some(kind @ ("bench" | "total" | "counts" | "steps")), Some(name)) = (words.next(), words.next()) else {
            return Ok(());
        };
        let numbers = words.map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        ensure!(numbers.last().is_some_and(|&units| units > 0), "of nothing");
        let name = name.to_owned();
        let is_new = match (kind, &numbers[..]) {
            ("bench", &[short, long, rounds, units]) => {
                ensure!(rounds > 0, "no rounds");
                self.loops.insert(name, Loops { short, long, rounds, units }).is_none()
            }
            ("total", &[time, units]) => self.totals.insert(name, (time, units)).is_none(),
            ("counts", &[stores, invlpg, flushes, units]) | ("steps", &[_, stores, invlpg, flushes, units]) => {
                self.counts.insert(name, Counts { stores, invlpg, flushes, units }).is_none()
            }
            _ => bail!("so many numbers"),
        };
        ensure!(is_new, "measured twice");
        Ok(())
    }

    /// The first line in which two runs differ.
    pub fn first_difference(&self, other: &Self) -> Option<String> {
        let names = self.loops.keys().chain(other.loops.keys());
        let differs = |name: &&String| self.loops.get(*name) != other.loops.get(*name);
        let loops = names
            .filter(differs)
            .map(|name| format!("{name} took {:?}, then {:?}", self.loops.get(name), other.loops.get(name)));
        let names = self.counts.keys().chain(other.counts.keys());
        let differs = |name: &&String| self.counts.get(*name) != other.counts.get(*name);
        let counts = names
            .filter(differs)
            .map(|name| format!("{name} did {:?}, then {:?}", self.counts.get(name), other.counts.get(name)));
        let names = self.totals.keys().chain(other.totals.keys());
        let differs = |name: &&String| self.totals.get(*name) != other.totals.get(*name);
        let totals = names
            .filter(differs)
            .map(|name| format!("{name} took {:?}, then {:?}", self.totals.get(name), other.totals.get(name)));
        loops.chain(counts).chain(totals).next()
    }

    /// What one operation costs by the difference of both loops: exact where time is the number of instructions.
    pub fn exact(&self, name: &str) -> Option<f64> {
        let difference = |loops: &Loops| loops.long as f64 - loops.short as f64;
        let empty = self.loops.get("empty").map_or(0.0, |empty| difference(empty) / empty.rounds as f64);
        let loops = self.loops.get(name)?;
        Some((difference(loops) / loops.rounds as f64 - empty) / loops.units as f64)
    }

    /// What one operation costs by the shorter loop alone: where times are not exact, a difference of two is even less so, and the host takes the
    /// longer one's processor away more often.
    pub fn timed(&self, name: &str) -> Option<f64> {
        if let Some((time, units)) = self.totals.get(name) {
            return Some(*time as f64 / *units as f64);
        }
        let of_one = |loops: &Loops| loops.short as f64 / loops.rounds as f64;
        let empty = self.loops.get("empty").map_or(0.0, of_one);
        let loops = self.loops.get(name)?;
        Some((of_one(loops) - empty) / loops.units as f64)
    }

    /// What an operation asks of the processor.
    pub fn counts(&self, name: &str) -> Option<Counts> {
        self.counts.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "CPU 0 is up\nbench empty 300 600 100 1\nbench ours/pair 2300 4600 100 1\nbench ours/run 700 1400 2 25\n\
                        total ours/all 900 90\ncounts ours/pair 4 1 0 1\nverdict: PASS\n";

    #[test]
    fn the_empty_loop_is_taken_off() {
        let figures = Figures::parse(OURS).unwrap();
        assert_eq!(figures.exact("ours/pair"), Some(20.0));
        assert_eq!(figures.exact("ours/run"), Some((350.0 - 3.0) / 25.0));
        assert_eq!(figures.timed("ours/pair"), Some(20.0));
        assert_eq!(figures.timed("ours/all"), Some(10.0));
        assert_eq!(figures.exact("ours/none"), None);
        assert_eq!(figures.counts("ours/pair"), Some(Counts { stores: 4, invlpg: 1, flushes: 0, units: 1 }));
    }

    #[test]
    fn lines_of_the_module() {
        let text =
            "[    5.8] highmem_bench: bench pair 1000 2000 10 1\n[    5.9] highmem_bench: steps pair 257 4 1 0 1\n";
        let figures = Figures::parse(text).unwrap();
        assert_eq!(figures.exact("pair"), Some(100.0));
        assert_eq!(figures.counts("pair").map(|counts| counts.stores), Some(4));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for bad in ["", "hello", "bench a 1 2 3", "bench a 1 2 0 1", "bench a 1 2 1 0", "bench a x 2 1 1", "total a 1"]
        {
            assert!(Figures::parse(bad).is_err(), "{bad}");
        }
        assert!(Figures::parse("total a 1 1\ntotal a 1 1").is_err());
    }

    #[test]
    fn two_runs_are_compared_to_the_digit() {
        let one = Figures::parse(OURS).unwrap();
        assert_eq!(one.first_difference(&one), None);
        for other in
            [OURS.replace("4600", "4601"), OURS.replace("4 1 0", "4 2 0"), OURS.replace("ours/pair", "ours/bare")]
        {
            assert!(one.first_difference(&Figures::parse(&other).unwrap()).is_some(), "{other}");
        }
    }
}
