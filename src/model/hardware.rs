//! The processor that the crate talks to: each thing that it asks for is counted, and is a step.

use core::marker::PhantomData;
use core::ops::{Add, Sub};
use core::sync::atomic::{Ordering, compiler_fence};
use std::thread;

use super::tlb::Tlb;
use super::{cpu, mmu};
use crate::machine::{Machine, Registers, WholeEntry, Word};
use crate::paging::Paging;

/// How often something was asked of the processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Words of page tables that were read; an entry that is exchanged is one.
    pub loads: usize,
    /// Words of page tables that were written: two for a PAE entry; an entry that is exchanged is one.
    pub stores: usize,
    /// Translations that were flushed.
    pub invlpg: usize,
    /// Times that everything was flushed.
    pub flush_all: usize,
    /// Barriers against the compiler.
    pub barriers: usize,
}

impl Counts {
    pub(super) const NONE: Self = Self { loads: 0, stores: 0, invlpg: 0, flush_all: 0, barriers: 0 };
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            loads: self.loads - other.loads,
            stores: self.stores - other.stores,
            invlpg: self.invlpg - other.invlpg,
            flush_all: self.flush_all - other.flush_all,
            barriers: self.barriers - other.barriers,
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            loads: self.loads + other.loads,
            stores: self.stores + other.stores,
            invlpg: self.invlpg + other.invlpg,
            flush_all: self.flush_all + other.flush_all,
            barriers: self.barriers + other.barriers,
        }
    }
}

/// The processor of a [`ModelKernel`](super::ModelKernel) with paging mode `P`.
#[derive(Debug)]
pub struct Hardware<P>(PhantomData<P>);

// SAFETY: I10: the accesses are volatile, one after the other, and the walkers look at each store before the next call; `barrier` is
// one for the compiler.
unsafe impl<P: Paging> Machine for Hardware<P> {
    unsafe fn read<W: Word>(at: *const W) -> W {
        cpu::step(|counts| counts.loads += 1);
        tell();
        // SAFETY: I1: the caller may read this entry.
        unsafe { at.read_volatile() }
    }

    unsafe fn write<W: Word>(at: *mut W, value: W) {
        let cpu = cpu::step(|counts| counts.stores += 1);
        // SAFETY: I1: the caller's promise, passed on.
        let is_clean = mmu::with(|mmu| unsafe { mmu.store(cpu, at, value) });
        if !is_clean {
            tell();
        }
    }

    unsafe fn exchange<W: WholeEntry>(at: *mut W, current: W, new: W) -> Result<W, W> {
        cpu::step(|counts| {
            counts.loads += 1;
            counts.stores += 1;
        });
        tell();
        // SAFETY: the caller's promise, passed on. Tables that are exchanged are not the window's.
        unsafe { W::exchange(at, current, new) }
    }

    fn barrier() {
        cpu::step(|counts| counts.barriers += 1);
        compiler_fence(Ordering::SeqCst);
    }

    unsafe fn invlpg(address: usize) {
        let cpu = cpu::step(|counts| counts.invlpg += 1);
        mmu::with(|mmu| mmu.invlpg(cpu, address));
        tell();
    }

    unsafe fn flush_all() {
        let cpu = cpu::step(|counts| counts.flush_all += 1);
        mmu::with(|mmu| mmu.flush(cpu, Tlb::forget_all));
        tell();
    }

    unsafe fn registers() -> Option<Registers> {
        let (pcids, no_execute, pat) = mmu::with(|mmu| mmu.registers());
        Some(Registers {
            write_protect: true,
            pae: P::PAE,
            long_mode: P::LONG_MODE,
            no_execute,
            global_pages: true,
            pcids,
            pat: Some(pat),
        })
    }

    fn interrupts_on() -> Option<bool> {
        cpu::current().map(|_| !cpu::state().interrupts_off)
    }

    fn identity() -> Option<u32> {
        cpu::current().map(|cpu| cpu as u32)
    }
}

/// Panics if this CPU has met with a fault. Called where no mapping is half done.
pub(super) fn tell() {
    if let Some(cpu) = cpu::current()
        && !thread::panicking()
        && let Some(text) = mmu::with(|mmu| mmu.tell(Some(cpu)))
    {
        panic!("{text}");
    }
}
