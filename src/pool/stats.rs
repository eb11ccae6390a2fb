//! How the pool is doing.

use core::fmt;

/// What happened to the pool so far, and how it is now. Printed as a table, one line each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct PoolStats {
    /// How many entries there are.
    pub entries: usize,
    /// How many of them are in use.
    pub in_use: usize,
    /// How many map a page that nobody uses now.
    pub idle: usize,
    /// How often a page was wanted that was mapped already. Two CPUs that take one page at the same moment may count as one; and the
    /// count of each entry begins again after 2^32.
    pub hits: u64,
    /// How often a page was mapped that was not.
    pub remaps: u64,
    /// How often all CPUs were asked to flush.
    pub flushes: u64,
    /// How often somebody slept until an entry could be had.
    pub sleeps: u64,
    /// The longest of these waits, in the units of [`PoolKernel::now`](crate::PoolKernel::now).
    pub longest_wait: u64,
}

impl fmt::Display for PoolStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("entries", self.entries as u64),
            ("in use", self.in_use as u64),
            ("idle", self.idle as u64),
            ("hits", self.hits),
            ("remaps", self.remaps),
            ("flushes", self.flushes),
            ("sleeps", self.sleeps),
            ("longest wait", self.longest_wait),
        ];
        for (index, (name, value)) in lines.into_iter().enumerate() {
            let end = if index + 1 < lines.len() { "\n" } else { "" };
            write!(f, "{name:12} {value:>10}{end}")?;
        }
        Ok(())
    }
}

/// What is counted under the lock.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    pub remaps: u64,
    pub flushes: u64,
    pub sleeps: u64,
    pub longest_wait: u64,
}

impl Counts {
    pub(super) const ZERO: Self = Self { remaps: 0, flushes: 0, sleeps: 0, longest_wait: 0 };

    pub(super) fn slept(&mut self, time: u64) {
        self.sleeps += 1;
        self.longest_wait = self.longest_wait.max(time);
    }
}
