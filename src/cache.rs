//! Caches that go by virtual addresses: a page that has two addresses can be in them twice.
//!
//! In C, whoever writes to a page through `kmap` has to say so, by `flush_dcache_page()` or one of its relatives, before and after, and on
//! x86 none of them does anything. They were forgotten for twenty years, and when a code path was rewritten they were lost: files of zeros
//! on one machine, and all well on the one of who wrote it.
//!
//! The rule (I12): a kernel with such caches is told of each mapping before its bytes can be touched, and of the end of each through which
//! they can have been written, while the page is still there.
//!
//! The types say it: there is nothing to call. What makes a guard tells [`Kernel::before_access`], and what ends a writable one
//! [`Kernel::after_writes`]; the pages of the direct map have guards, too. Where [`Kernel::CACHES_ALIAS`] is false, no instruction is left
//! of it.

use core::marker::PhantomData;

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::{Access, Page, Pfn};
use crate::paging::Paging;

/// Where a guard has its page; and, where the kernel wants to know it, that it may be written there.
pub(crate) struct At<K> {
    /// The address, of a page; and [`WRITTEN`].
    word: usize,
    kernel: PhantomData<fn() -> K>,
}

/// In place of the address's lowest bit, which is 0.
const WRITTEN: usize = 1;

impl<K: Kernel> At<K> {
    /// The address of a page that has just been mapped, or is about to be used in the direct map.
    #[inline]
    pub(crate) fn begin<P: Page<Paging = K::Paging>>(page: &P, address: usize) -> Self {
        let mut word = address;
        if const { K::CACHES_ALIAS && P::Access::RAM } {
            K::before_access(page.pfn(), address, P::Access::WRITABLE);
            word |= if P::Access::WRITABLE { WRITTEN } else { 0 };
        }
        Self { word, kernel: PhantomData }
    }

    #[inline]
    pub(crate) fn address(&self) -> usize {
        if const { K::CACHES_ALIAS } { self.word & !WRITTEN } else { self.word }
    }

    /// The same address again.
    #[inline]
    pub(crate) fn known_as(&mut self, address: usize) {
        if const { !K::CACHES_ALIAS } {
            self.word = address;
        }
    }

    /// The guard ends, and no entry is cleared for it.
    #[inline]
    pub(crate) fn end(&self) {
        if const { K::CACHES_ALIAS } && self.word & WRITTEN != 0 {
            // I12: no access to the page moves down behind what makes it known.
            K::Machine::barrier();
            K::after_writes(self.address());
        }
    }
}

/// An entry is about to be cleared, and its guard has not ended: it was forgotten, or its thread is switched out. The entry says whether the
/// page may be written; not whether it is memory.
///
/// # Safety
/// The entry is that of `address`, and nobody writes it meanwhile.
#[inline]
pub(crate) unsafe fn end_of_entry<K: Kernel>(address: usize, pte: *const <K::Paging as Paging>::Entry) {
    if const { K::CACHES_ALIAS } {
        // SAFETY: the caller's promise.
        if let Some((_, true)) = unsafe { K::Paging::get::<K::Machine>(pte) } {
            K::after_writes(address);
        }
    }
}

/// An entry has been set again, since its thread is switched in.
///
/// # Safety
/// As [`end_of_entry`].
#[inline]
pub(crate) unsafe fn begin_of_entry<K: Kernel>(address: usize, pte: *const <K::Paging as Paging>::Entry) {
    if const { K::CACHES_ALIAS } {
        // SAFETY: the caller's promise.
        let mapped = unsafe { K::Paging::get::<K::Machine>(pte) };
        if let Some((pfn, writable)) = mapped
            && let Ok(pfn) = Pfn::new(pfn as u64)
        {
            K::before_access(pfn, address, writable);
        }
    }
}
