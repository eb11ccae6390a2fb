//! A processor that counts what is asked of it, for the feature `counted`.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use highmem::machine::{Machine, Registers, WholeEntry, Word, X86};

/// What was asked for since the last [`take`], by all CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Stores to page tables, of a word each.
    pub writes: u64,
    /// `invlpg`.
    pub invlpg: u64,
    /// Flushes of all translations.
    pub flushes: u64,
}

static WRITES: AtomicU64 = AtomicU64::new(0);
static INVLPG: AtomicU64 = AtomicU64::new(0);
static FLUSHES: AtomicU64 = AtomicU64::new(0);

/// The counts so far; they begin again at zero.
pub fn take() -> Counts {
    let [writes, invlpg, flushes] = [&WRITES, &INVLPG, &FLUSHES].map(|count| count.swap(0, Relaxed));
    Counts { writes, invlpg, flushes }
}

/// [`X86`], counting.
#[derive(Clone, Copy, Debug)]
pub struct Counting;

// SAFETY: does what `X86` does, and counts.
unsafe impl Machine for Counting {
    unsafe fn read<W: Word>(at: *const W) -> W {
        // SAFETY: the caller's promise.
        unsafe { X86::read(at) }
    }

    unsafe fn write<W: Word>(at: *mut W, value: W) {
        WRITES.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { X86::write(at, value) }
    }

    unsafe fn exchange<W: WholeEntry>(at: *mut W, current: W, new: W) -> Result<W, W> {
        WRITES.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { X86::exchange(at, current, new) }
    }

    unsafe fn invlpg(address: usize) {
        INVLPG.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { X86::invlpg(address) }
    }

    unsafe fn flush_all() {
        FLUSHES.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { X86::flush_all() }
    }

    unsafe fn registers() -> Option<Registers> {
        // SAFETY: the caller's promise.
        unsafe { X86::registers() }
    }

    fn interrupts_on() -> Option<bool> {
        X86::interrupts_on()
    }

    fn identity() -> Option<u32> {
        X86::identity()
    }
}
