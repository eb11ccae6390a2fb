//! Lazy slots: the last page stays mapped behind its guard, until the slot is used for another one.
//!
//! In C, to keep a mapping for the next time means to keep its address, and whoever keeps it has to know when the page is freed, mapped
//! otherwise, or another's. Linux's `kmap()` keeps entries for pages that nobody uses, and whoever changes what a page is has to remember
//! `kmap_flush_unused()`.
//!
//! The rule (I3): what a lazy slot still maps, nobody can reach: no address of it is left. It is used again only for the same frame, with
//! the same right to write it, and for nothing else; all else is the same for all that a kernel maps there. A note says which frame and which
//! right. It is in the page table itself, in the entry of a page that is never mapped; it is written behind the entry, and gone before it.
//!
//! The types say it: a slot is lazy if [`km_types!`](crate::km_types) says so, where the kernel declares it, and nowhere else. Mapping
//! there what it already maps is no store and no `invlpg`; all else is as in any slot.
//!
//! ```
//! highmem::km_types! {
//!     /// What my kernel maps.
//!     pub mod km {
//!         atomic {
//!             /// The bitmap of free blocks, again and again.
//!             bitmap: Bitmap lazy,
//!             source: Source,
//!         }
//!     }
//! }
//! ```
//!
//! # What a kernel gives up
//!
//! Behind its guard a page stays readable, and writable if it was, by whoever can use any address: a bug elsewhere, or a processor that
//! speculates. The page may be freed meanwhile, and become somebody else's: then it is their bytes. A kernel that keeps pages out of its address
//! space to keep secrets in them wants no lazy slot.
//!
//! Before a frame changes what it is, its kernel calls [`flush_lazy`] on each CPU: before its memory type changes, before it is handed
//! to a hypervisor or encrypted, before it becomes something that must not be mapped. In place of all this, the frame can be mapped in
//! other slots only. The same call is due where [`Kernel::no_execute`] begins to say yes: what was mapped before stays executable.
//!
//! Only memory can be mapped in a lazy slot, and nothing can if translations are [tagged](crate::tlb::Translations::Tagged) with PCIDs: another
//! address space would keep its translation. With the feature `debug`, no slot is lazy, so that each use of a mapping that has ended is found.

use crate::atomic;
use crate::context::Task;
use crate::debug;
use crate::fixmap::Window;
use crate::kernel::Kernel;
use crate::page::{Access, Page, Pfn};
use crate::paging::{MemoryType, Paging, Protection};
use crate::slot::{KmType, KmTypes};

/// Unmaps what lazy slots of this CPU still map. Linux, for its pool: `kmap_flush_unused()`.
///
/// That of other CPUs stays: each has to do it, in a thread that stays there.
///
/// ```
/// use highmem::{Kernel, Task, lazy::flush_lazy};
///
/// fn becomes_private<K: Kernel>(task: &mut Task<'_, K>) {
///     flush_lazy(task); // on each CPU
///     // (tells the hypervisor)
/// }
/// ```
pub fn flush_lazy<K: Kernel>(task: &mut Task<'_, K>) {
    // No guard of this CPU lives: those of this thread would borrow `task`, other threads have none that are switched out, and with
    // interrupts off there are no handlers. Those of NMIs are never lazy.
    let mut atomic = task.atomic();
    let _irqs_off = atomic.irqs_off();
    for slot in (0..Window::<K>::NAMED).filter(|&slot| K::KmTypes::LAZY[slot]) {
        let (address, pte) = Window::<K>::place(K::cpu(), slot);
        // SAFETY: I1: nobody else on this CPU runs, and nobody uses the slot.
        if unsafe { !K::Paging::is_empty::<K::Machine>(pte) } {
            // SAFETY: I1: as above.
            unsafe { forget::<K>(slot, pte) };
            atomic::unmap::<K>(address, Window::<K>::group(slot));
        }
    }
}

/// Whether slot `S` keeps its page mapped.
pub(crate) const fn is_lazy<S: KmType>() -> bool {
    S::LAZY && !debug::ON
}

/// Whether the lazy slot `S`, whose entry is `pte`, maps just this.
///
/// # Safety
/// The caller has the slot's token.
#[inline]
pub(crate) unsafe fn keeps<K, S>(
    pte: *mut <K::Paging as Paging>::Entry,
    pfn: Pfn<K::Paging>,
    protection: Protection,
) -> bool
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    // SAFETY: I1: the note is the slot's, and so the caller's, by its promise; so is the entry.
    unsafe {
        let kept = K::Paging::is_note(Window::<K>::note(S::PLACE, pte), K::Paging::note(pfn.number(), protection));
        debug_assert!(!kept || K::Paging::get::<K::Machine>(pte) == Some((pfn.number(), protection.is_writable())));
        kept
    }
}

/// Notes what the lazy slot `S` maps from now on.
///
/// # Safety
/// The caller has the slot's token; the slot's entry, which is `pte`, says this, and there is no note.
#[inline]
pub(crate) unsafe fn note<K, S>(pte: *mut <K::Paging as Paging>::Entry, pfn: Pfn<K::Paging>, protection: Protection)
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    // SAFETY: I1: the note is the slot's. I10: it is not present, so that no page walker looks at the rest.
    unsafe {
        K::Paging::set::<K::Machine>(Window::<K>::note(S::PLACE, pte), K::Paging::note(pfn.number(), protection));
    }
}

/// A slot's entry, `pte`, is emptied next: if it is a lazy one, its note is no longer true.
///
/// # Safety
/// The caller has the slot's token.
#[inline]
pub(crate) unsafe fn forget<K: Kernel>(slot: usize, pte: *mut <K::Paging as Paging>::Entry) {
    if !debug::ON && K::KmTypes::LAZY.get(slot) == Some(&true) {
        // SAFETY: I1: the note is the slot's.
        unsafe { K::Paging::release::<K::Machine>(Window::<K>::note(slot, pte)) }
    }
}

/// I3. What `P` is can be mapped in slot `S`.
#[track_caller]
pub(crate) const fn check<K: Kernel, S: KmType, P: Page>() {
    if !S::LAZY {
        return;
    }
    assert!(
        !K::TRANSLATIONS.are_tagged(),
        "translations are tagged with PCIDs: there can be no lazy slots, whose translations would stay in other address spaces"
    );
    assert!(
        <P::Access as Access>::RAM && matches!(P::MEMORY_TYPE, MemoryType::WriteBack),
        "a lazy slot is for memory: a frame of a device does not stay mapped"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::recorder::{Event, Event::*, Recorder};
    use crate::selftest::selftest;
    use crate::test_kernel::{FIXMAP_BASE, NO_EXECUTE, TestKernel, entry, entry_address, page};
    use crate::{Frame, PAGE_SIZE, Pfn, Slot, kmap_atomic, kunmap_atomic};
    use core::mem;
    use std::vec::Vec;

    crate::km_types! {
        mod km {
            atomic { kept: Kept lazy, plain: Plain }
            softirq { kept_below: KeptBelow lazy }
            irqsoff { kept_by_handlers: KeptByHandlers lazy, ring: Ring }
        }
    }

    type K = TestKernel<false, km::Set>;
    type Page = Frame<crate::paging::Pae>;

    fn frame(number: u64) -> Page {
        // SAFETY: I5: beyond the test kernel's lowmem, exists only as a number.
        unsafe { Frame::from_pfn(Pfn::new(number).unwrap()) }
    }

    fn with_kept(f: impl FnOnce(Slot<'_, K, km::Kept>)) {
        // SAFETY: I1: each test is a thread, and enters once at a time.
        unsafe { Task::<K>::enter(|task| f(task.atomic().slots().kept)) }
    }

    /// The entry behind all slots, which has the note of the first.
    fn note_address() -> usize {
        entry_address(Window::<K>::SLOTS)
    }

    /// Empties the first slot, behind its note.
    fn clear() -> Vec<Event> {
        let at = entry_address(page(0, 0));
        let events =
            [Write(note_address(), 0), Write(at, 0), Write(at + 4, 0), Invlpg(FIXMAP_BASE + page(0, 0) * PAGE_SIZE)];
        events[usize::from(debug::ON)..].to_vec()
    }

    /// Sets its entry, and then its note.
    fn set(entry: u64) -> Vec<Event> {
        let at = entry_address(page(0, 0));
        let note = entry & 0x2 | 0x4;
        let frame = entry << 1 >> 13;
        let events = [
            Write(at + 4, entry >> 32),
            Write(at, entry & 0xffff_ffff),
            Write(note_address() + 4, frame),
            Write(note_address(), note),
        ];
        events[..if debug::ON { 2 } else { 4 }].to_vec()
    }

    fn replaced(entry: u64) -> Vec<Event> {
        [clear(), set(entry)].concat()
    }

    const RW: u64 = 0x8000_0001_4000_0063;
    const RO: u64 = 0x8000_0001_4000_0021;

    #[test]
    fn the_same_page_again_costs_no_store_and_no_flush() {
        with_kept(|mut slot| {
            let mut one = frame(0x14_0000);
            let first = Recorder::record(|| drop(kmap_atomic(slot.reborrow(), &mut one)));
            let again = Recorder::record(|| {
                let guard = kmap_atomic(slot.reborrow(), &mut one);
                assert_eq!(guard.address(), FIXMAP_BASE + page(0, 0) * PAGE_SIZE);
                let _ = kunmap_atomic(guard);
            });
            if debug::ON {
                assert_eq!((first, again), ([set(RW), clear()].concat(), [set(RW), clear()].concat()));
                assert_eq!(entry(page(0, 0)), 0);
            } else {
                assert_eq!((first, again), (set(RW), Vec::new()));
                assert_eq!(entry(page(0, 0)), RW);
            }
        });
    }

    #[test]
    fn whatever_is_not_the_same_is_mapped_anew() {
        if debug::ON {
            return;
        }
        with_kept(|mut slot| {
            let mut record = |page: u64, writable: bool| {
                let mut page = frame(page);
                Recorder::record(|| match writable {
                    true => drop(kmap_atomic(slot.reborrow(), &mut page)),
                    false => drop(kmap_atomic(slot.reborrow(), &page)),
                })
            };
            assert_eq!(record(0x14_0000, true), set(RW));
            // The rights, either way.
            assert_eq!(record(0x14_0000, false), replaced(RO));
            assert_eq!(record(0x14_0000, true), replaced(RW));
            // The low half of the frame's number, and the high one.
            assert_eq!(record(0x14_0001, true), replaced(RW + 0x1000));
            assert_eq!(record(0x24_0001, true), replaced(RW + 0x1000 + (1 << 32)));
        });
    }

    #[test]
    fn a_new_answer_about_nx_needs_a_flush() {
        if debug::ON {
            return;
        }
        // SAFETY: I1: each test is a thread, and enters once.
        unsafe {
            Task::<K>::enter(|task| {
                NO_EXECUTE.set(false);
                let map = |task: &mut Task<'_, K>| drop(kmap_atomic(task.atomic().slots().kept, frame(0x14_0000)));
                assert_eq!(Recorder::record(|| map(task)), set(RW & !(1 << 63)));
                NO_EXECUTE.set(true);
                assert_eq!(Recorder::record(|| map(task)), []);
                flush_lazy(task);
                assert_eq!(Recorder::record(|| map(task)), set(RW));
            });
        }
    }

    #[test]
    fn a_forgotten_guard_is_as_one_that_ended() {
        if debug::ON {
            return;
        }
        with_kept(|mut slot| {
            mem::forget(kmap_atomic(slot.reborrow(), frame(0x14_0000)));
            assert_eq!(Recorder::record(|| drop(kmap_atomic(slot.reborrow(), frame(0x14_0000)))), []);
            assert_eq!(Recorder::record(|| drop(kmap_atomic(slot, frame(0x14_0001)))), replaced(RW + 0x1000));
        });
    }

    #[test]
    fn a_page_of_the_direct_map_leaves_the_slot_as_it_is() {
        with_kept(|mut slot| {
            drop(kmap_atomic(slot.reborrow(), frame(0x14_0000)));
            assert_eq!(Recorder::record(|| drop(kmap_atomic(slot.reborrow(), frame(1)))), []);
            assert_eq!(entry(page(0, 0)), if debug::ON { 0 } else { RW });
        });
    }

    #[test]
    fn what_is_emptied_by_the_self_test_is_not_kept() {
        // SAFETY: I1: each test is a thread, and enters once.
        unsafe {
            Task::<K>::enter(|task| {
                drop(kmap_atomic(task.atomic().slots().kept, frame(0x14_0000)));
                let pages = [frame(0x14_0000), frame(0x14_0001)];
                // No page walker reads here, so that nothing is found.
                selftest(task, [(&pages[0], 1), (&pages[1], 2)], |_| None).unwrap_err();
                assert_eq!(entry(page(0, 0)), 0);
                let again = Recorder::record(|| drop(kmap_atomic(task.atomic().slots().kept, frame(0x14_0000))));
                assert_eq!(again[..set(RW).len()], set(RW));
            });
        }
    }

    #[test]
    fn each_slot_has_a_note_of_its_own() {
        if debug::ON {
            return;
        }
        // SAFETY: I1: each test is a thread, and enters once.
        unsafe {
            Task::<K>::enter(|task| {
                drop(kmap_atomic(task.atomic().slots().kept, frame(0x14_0000)));
                drop(kmap_atomic(task.atomic().bh_off().slots().kept_below, frame(0x14_0001)));
                let mut kept = |number| {
                    Recorder::record(|| drop(kmap_atomic(task.atomic().slots().kept, frame(number)))).is_empty()
                };
                assert_eq!([kept(0x14_0000), kept(0x14_0001), kept(0x14_0000)], [true, false, false]);
            });
        }
    }

    #[test]
    fn a_flush_unmaps_what_all_lazy_slots_of_this_cpu_have_kept() {
        if debug::ON {
            return;
        }
        // SAFETY: I1: each test is a thread, and enters once.
        unsafe {
            Task::<K>::enter(|task| {
                drop(kmap_atomic(task.atomic().slots().kept, frame(0x14_0000)));
                drop(kmap_atomic(task.atomic().slots().plain, frame(0x14_0001)));
                drop(kmap_atomic(task.atomic().bh_off().slots().kept_below, frame(0x14_0002)));
                drop(kmap_atomic(task.atomic().irqs_off().slots().kept_by_handlers, frame(0x14_0003)));
                assert_eq!([0, 1, 2, 3, 4].map(|slot| entry(page(0, slot)) != 0), [true, false, true, true, false]);
                let events = Recorder::record(|| flush_lazy(task));
                assert_eq!(events.len(), 12, "a note is one store, an entry is two, and one flush: {events:?}");
                assert_eq!(events[..4], clear());
                assert_eq!([0, 1, 2, 3, 4].map(|slot| entry(page(0, slot))), [0; 5]);
                assert_eq!(Recorder::record(|| flush_lazy(task)), []);
            });
        }
    }
}
