//! Translations: what the processor remembers of page tables, and how it is made to forget.
//!
//! In C it is one function, `flush_tlb_one_kernel()`, and what it has to do depends on how the kernel is built and booted: with
//! process-context identifiers (PCIDs), `invlpg` forgets only what belongs to the address space in use, unless the translation is
//! global; with page-table isolation (PTI), kernel translations are not global any more. Code that was right without either leaves a
//! translation behind with both.
//!
//! The rule (I3): when a slot is free again, no translation of it is left that this CPU could ever use.
//!
//! The types say it: a kernel names what its translations are bound to ([`Translations`]), and the crate does what follows from
//! that. Where it cannot do it alone, it does not compile until the kernel does its part.
//!
//! | the kernel | [`Kernel::TRANSLATIONS`] | entry | unmapping |
//! |---|---|---|---|
//! | has no PCIDs | [`Untagged`](Translations::Untagged) | | `invlpg` |
//! | has CR4.PGE set, with or without PCIDs, with or without PTI | [`Global`](Translations::Global) | bit G | `invlpg` |
//! | has PCIDs and no global translations | [`Tagged`](Translations::Tagged) | | `invlpg`, [`Kernel::forget_in_other_spaces`] |
//!
//! PTI is no reason against [`Global`](Translations::Global) here: it is there to keep the kernel's memory out of the tables, and so
//! out of the TLB, while user code runs. No slot is in use then, and none that was has left a translation.

use core::marker::PhantomData;

use crate::kernel::Kernel;
use crate::machine::{Address, Machine};
use crate::paging::PAGE_SIZE;

/// What the processor's translations of the window are bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Translations {
    /// To nothing: CR4.PCIDE is clear. Loading CR3 forgets them all, and `invlpg` forgets one.
    Untagged,
    /// To every address space: entries have the bit G, and CR4.PGE is set. Loading CR3 keeps them, and `invlpg` forgets one whatever
    /// PCID is in use (SDM vol. 3, 5.10.4.1).
    Global,
    /// To the address space in use when they were made: CR4.PCIDE is set, and entries are not global. `invlpg` forgets only what belongs
    /// to the PCID in use; [`Kernel::forget_in_other_spaces`] does the rest.
    Tagged,
}

impl Translations {
    pub(crate) const fn are_global(self) -> bool {
        matches!(self, Self::Global)
    }

    pub(crate) const fn are_tagged(self) -> bool {
        matches!(self, Self::Tagged)
    }
}

/// Where a page of the window is.
pub(crate) trait PageAddress: Copy {
    fn address(self) -> usize;

    /// # Safety
    /// As [`forget`].
    unsafe fn invlpg<M: Machine>(self);
}

/// Wherever that is.
impl PageAddress for usize {
    #[inline]
    fn address(self) -> usize {
        self
    }

    #[inline]
    unsafe fn invlpg<M: Machine>(self) {
        // SAFETY: the caller's promise.
        unsafe { M::invlpg(self) }
    }
}

/// Where it was known when the kernel was compiled.
pub(crate) struct Known<A>(PhantomData<A>);

impl<A> Known<A> {
    pub(crate) const NEW: Self = Self(PhantomData);
}

impl<A> Clone for Known<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Known<A> {}

impl<A: Address> PageAddress for Known<A> {
    #[inline]
    fn address(self) -> usize {
        A::ADDRESS
    }

    #[inline]
    unsafe fn invlpg<M: Machine>(self) {
        // SAFETY: the caller's promise.
        unsafe { M::invlpg_of::<A>() }
    }
}

/// So many bytes behind where that was.
pub(crate) struct Behind<A>(usize, PhantomData<A>);

impl<A: Address> Behind<A> {
    #[inline]
    pub(crate) fn new(address: usize) -> Self {
        Self(address.wrapping_sub(A::ADDRESS), PhantomData)
    }
}

impl<A> Clone for Behind<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Behind<A> {}

impl<A: Address> PageAddress for Behind<A> {
    #[inline]
    fn address(self) -> usize {
        A::ADDRESS.wrapping_add(self.0)
    }

    #[inline]
    unsafe fn invlpg<M: Machine>(self) {
        // SAFETY: the caller's promise.
        unsafe { M::invlpg_behind::<A>(self.0) }
    }
}

/// Has this CPU forget the translation of the page at `at`, whatever it is bound to.
///
/// # Safety
/// Runs at privilege level 0.
#[inline]
pub(crate) unsafe fn forget<K: Kernel>(at: impl PageAddress) {
    // SAFETY: the caller's promise.
    unsafe { at.invlpg::<K::Machine>() };
    let address = at.address();
    if const { K::TRANSLATIONS.are_tagged() } {
        K::forget_in_other_spaces(address);
    }
}

/// Has this CPU forget all translations of so many pages from an address on, whatever they are bound to.
///
/// # Safety
/// Runs at privilege level 0, and stays on this CPU.
#[inline]
pub(crate) unsafe fn forget_pages<K: Kernel>(first: usize, count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if count > K::FLUSH_CEILING {
            K::Machine::flush_all();
        } else {
            (0..count).for_each(|page| forget::<K>(first + page * PAGE_SIZE));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixmap::{CpuFixmap, Window};
    use crate::machine::recorder::{Event::*, Recorder};
    use crate::paging::Pae;
    use crate::test_kernel::{
        CPU, FIXMAP_BASE, GlobalTranslations, OwnTables, Shared, TestKernel, Variant, entry, entry_address, page,
    };
    use crate::{Frame, PAGE_SIZE, Pfn, Task, kmap_atomic, linux};
    use std::vec::Vec;

    const GLOBAL: u64 = 1 << 8;

    type Of<V> = TestKernel<false, linux::Set, V>;

    /// The entry of a mapping in `User0`, and the events of its end.
    fn mapped_and_unmapped<V: Variant>() -> (u64, Vec<crate::machine::recorder::Event>) {
        // SAFETY: I5: exists only as a number. I1: each test is a thread, and enters once.
        unsafe {
            Task::<Of<V>>::enter(|task| {
                let frame: Frame<Pae> = Frame::from_pfn(Pfn::new(0x14_0000).unwrap());
                let mut atomic = task.atomic();
                let guard = kmap_atomic(atomic.slots().user0, frame);
                let entry = entry((guard.address() - FIXMAP_BASE) / PAGE_SIZE);
                (entry, Recorder::record(|| drop(guard)))
            })
        }
    }

    #[test]
    fn global_translations_have_the_bit_and_others_do_not() {
        assert_eq!(mapped_and_unmapped::<GlobalTranslations>().0 & GLOBAL, GLOBAL);
        assert_eq!(mapped_and_unmapped::<Shared>().0 & GLOBAL, 0);
        assert_eq!(mapped_and_unmapped::<OwnTables>().0 & GLOBAL, 0);
    }

    #[test]
    fn tagged_translations_are_forgotten_in_other_spaces_and_behind_invlpg() {
        let (at, address) = (entry_address(page(0, 0)), FIXMAP_BASE + page(0, 0) * PAGE_SIZE);
        let end = [Write(at, 0), Write(at + 4, 0), Invlpg(address), OtherSpaces(address)];
        assert_eq!(mapped_and_unmapped::<OwnTables>().1, end);
        assert_eq!(mapped_and_unmapped::<Shared>().1, end[..3]);
        assert_eq!(mapped_and_unmapped::<GlobalTranslations>().1, end[..3]);
    }

    #[test]
    fn the_slots_of_a_cpu_with_its_own_tables_do_not_depend_on_its_number() {
        type W = Window<Of<OwnTables>>;
        let first = W::slot::<linux::Irq1>();
        CPU.set(1);
        assert_eq!(W::slot::<linux::Irq1>(), first);
        assert_ne!(Window::<Of<Shared>>::slot::<linux::Irq1>(), first);
        CPU.set(0);
    }

    #[test]
    fn the_tables_of_a_cpu_map_themselves_behind_all_slots() {
        type K = Of<OwnTables>;
        let tables: &'static CpuFixmap<1> = OwnTables::fixmap();
        // SAFETY: I9: the frame exists only as a number, and so does the window.
        unsafe { tables.map_themselves::<K>([Pfn::new(0x123).unwrap()]) };
        assert_eq!(entry(511), 0x8000_0000_0012_3063);
        assert!((0..511).all(|index| entry(index) == 0));
    }
}
