use super::*;
use crate::machine::recorder::{Event, Event::*, Recorder};
use crate::paging::Pae;
use crate::test_kernel::{CPU, FIXMAP_BASE, GlobalTranslations, OwnTables, REPORTS, TestKernel, entry, entry_address};
use crate::{Frame, Pfn, SharedFrame, Task, kmap_atomic, selftest};
use core::iter;
use core::mem;
use core::ops::Range;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::ToString;
use std::vec::Vec;

crate::km_types! {
    mod km {
        atomic { plain: Plain, few: Few[3] }
        softirq { many: Many[40] }
        irqsoff { ring: Ring, one: One[1] }
        nmi { two: Two[2] }
    }
}

type K = TestKernel<false, km::Set>;
type Page = Frame<Pae>;

/// The pages of a CPU: two slots, four batches; with fences, one before each slot and one behind each slot and batch.
const PER_CPU: usize = 2 + 3 + 40 + 1 + 2 + if debug::ON { 3 + 4 } else { 0 };

/// The page of the window that is the first of each batch of the first CPU.
const FIRST: [usize; 4] = if debug::ON { [5, 9, 50, 52] } else { [2, 5, 45, 46] };

const RW: u64 = 0x8000_0001_4000_0063;
const RO: u64 = 0x8000_0001_4000_0021;

/// Frames from 5 GiB on.
fn frames(count: u64) -> Vec<Page> {
    // SAFETY: I5: beyond the test kernel's lowmem, they exist only as numbers.
    (0..count).map(|page| unsafe { Frame::from_pfn(Pfn::new(0x14_0000 + page).unwrap()) }).collect()
}

fn task(f: impl FnOnce(&mut Task<'_, K>)) {
    // SAFETY: I1: each test is a thread, and enters once at a time.
    unsafe { Task::enter(f) }
}

fn set(index: usize, entry: u64) -> [Event; 2] {
    let at = entry_address(index);
    [Write(at + 4, entry >> 32), Write(at, entry & 0xffff_ffff)]
}

fn clear(index: usize) -> [Event; 2] {
    let at = entry_address(index);
    [Write(at, 0), Write(at + 4, 0)]
}

fn address(index: usize) -> usize {
    FIXMAP_BASE + index * PAGE_SIZE
}

/// What sets the entries of a batch, the first with `entry`, and each other one with the next frame.
fn sets(pages: Range<usize>, entry: u64) -> Vec<Event> {
    pages.enumerate().flat_map(|(page, index)| set(index, entry + ((page as u64) << 12))).collect()
}

/// What empties the entries of a batch, and flushes each.
fn clears_one_by_one(pages: Range<usize>) -> Vec<Event> {
    pages.clone().rev().flat_map(clear).chain(pages.map(|index| Invlpg(address(index)))).collect()
}

fn entries(pages: Range<usize>) -> Vec<u64> {
    pages.map(entry).collect()
}

fn is_empty() -> bool {
    // With the feature, the fences have notes: they are not present.
    (0..2 * PER_CPU).all(|index| entry(index) & 1 == 0)
}

#[test]
fn pages_are_set_as_they_come_and_all_emptied_before_the_first_is_flushed() {
    task(|task| {
        let mut pages = frames(3);
        let mut atomic = task.atomic();
        let mut few = atomic.slots().few;
        let [first, ..] = FIRST;
        let mut guard = None;
        let events = Recorder::record(|| guard = Some(kmap_batch(few.reborrow(), &mut pages).unwrap()));
        assert_eq!(events, sets(first..first + 3, RW));
        assert_eq!(entries(first..first + 3), [RW, RW + 0x1000, RW + 0x2000]);
        let guard_now = guard.take().unwrap();
        assert_eq!((guard_now.address(), guard_now.pages(), guard_now.size()), (address(first), 3, 3 * PAGE_SIZE));
        assert_eq!(Recorder::record(|| drop(guard_now)), clears_one_by_one(first..first + 3));
        assert!(is_empty());
    });
}

#[test]
fn up_to_the_ceiling_by_invlpg_and_above_it_at_once() {
    assert_eq!(K::FLUSH_CEILING, 33);
    task(|task| {
        let mut pages = frames(40);
        let mut atomic = task.atomic();
        let mut bh_off = atomic.bh_off();
        let mut many = bh_off.slots().many;
        for count in [1, 2, 32, 33, 34, 40] {
            let guard = kmap_batch(many.reborrow(), &mut pages[..count]).unwrap();
            let used = FIRST[1]..FIRST[1] + count;
            let expected = if count <= 33 {
                clears_one_by_one(used)
            } else {
                used.rev().flat_map(clear).chain([FlushAll]).collect()
            };
            assert_eq!(Recorder::record(|| drop(guard)), expected, "{count} pages");
            assert!(is_empty());
        }
    });
}

#[test]
fn no_pages_are_no_store_and_no_flush() {
    task(|task| {
        let events = Recorder::record(|| {
            let mut atomic = task.atomic();
            let guard = kmap_batch(atomic.slots().few, &[] as &[Page]).unwrap();
            assert_eq!((guard.pages(), guard.len()), (0, 0));
            assert!(guard.read_at(0, &mut []).is_ok() && guard.read_at(0, &mut [0]).is_err());
        });
        assert_eq!(events, []);
    });
}

#[test]
fn a_shared_borrow_is_read_only_in_each_entry_and_may_be_there_twice() {
    task(|task| {
        let pages = frames(2);
        let mut atomic = task.atomic();
        let _guard = kmap_batch(atomic.slots().few, [&pages[0], &pages[1], &pages[0]]).unwrap();
        assert_eq!(entries(FIRST[0]..FIRST[0] + 3), [RO, RO + 0x1000, RO]);
    });
    assert!(is_empty());
}

#[test]
fn pages_of_the_direct_map_are_mapped_too() {
    task(|task| {
        // SAFETY: I5: a frame of the test kernel's lowmem, which this test alone uses.
        let mut low: [Page; 1] = [unsafe { Frame::from_pfn(Pfn::new(2).unwrap()) }];
        let mut atomic = task.atomic();
        let _guard = kmap_batch(atomic.slots().few, &mut low).unwrap();
        assert_eq!(entry(FIRST[0]), 0x8000_0000_0000_2063);
    });
}

#[test]
fn more_pages_than_entries_are_an_error_and_none_stays() {
    task(|task| {
        let pages = frames(5);
        let mut atomic = task.atomic();
        let mut few = atomic.slots().few;
        let mut result = None;
        // A slice says how many they are.
        let events = Recorder::record(|| result = kmap_batch(few.reborrow(), &pages).err());
        assert_eq!((result.unwrap().pages, result.unwrap().room), (5, 3));
        assert_eq!(events, []);
        // This iterator does not, so it is found out.
        let all = || pages.iter().filter(|_| true);
        let events = Recorder::record(|| result = kmap_batch(few.reborrow(), all()).err());
        assert_eq!(result, Some(BatchError { pages: 4, room: 3 }));
        assert_eq!(result.unwrap().to_string(), "4 or more pages are to be mapped in a batch that has room for 3");
        let used = FIRST[0]..FIRST[0] + 3;
        assert_eq!(events, [sets(used.clone(), RO), clears_one_by_one(used)].concat());
        assert!(is_empty());
        // And the batch is as good as before.
        assert_eq!(kmap_batch(few, &pages[..3]).unwrap().pages(), 3);
    });
}

/// Says that there are so many, whatever there are.
struct Liar<I>(I, usize);

impl<I: Iterator> Iterator for Liar<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, Some(self.1))
    }
}

#[test]
fn what_an_iterator_says_of_its_length_is_not_believed() {
    task(|task| {
        let pages = frames(5);
        let mut atomic = task.atomic();
        let mut few = atomic.slots().few;
        // More than it says, and fewer.
        let more = kmap_batch(few.reborrow(), Liar(pages.iter(), 1)).unwrap_err();
        assert_eq!((more.pages, more.room), (4, 3));
        assert!(is_empty());
        let fewer = kmap_batch(few.reborrow(), Liar(pages[..1].iter(), 3)).unwrap();
        assert_eq!((fewer.pages(), fewer.len()), (1, PAGE_SIZE));
        assert_eq!(entries(FIRST[0]..FIRST[0] + 3), [RO, 0, 0]);
        drop(fewer);
        let endless = kmap_batch(few, iter::repeat(&pages[0])).unwrap_err();
        assert_eq!(endless.pages, usize::MAX);
        assert!(is_empty());
    });
}

#[test]
fn a_panic_among_the_pages_leaves_no_entry() {
    task(|task| {
        let pages = frames(3);
        let mut atomic = task.atomic();
        let mut few = atomic.slots().few;
        let broken = pages.iter().enumerate().map(|(number, page)| {
            assert!(number < 2, "on purpose");
            assert_ne!(entry(FIRST[0] + number.saturating_sub(1)) != 0, number == 0, "mapped as they come");
            page
        });
        let events = Recorder::record(|| {
            assert!(catch_unwind(AssertUnwindSafe(|| _ = kmap_batch(few.reborrow(), broken))).is_err());
        });
        let used = FIRST[0]..FIRST[0] + 2;
        assert_eq!(events, [sets(used.clone(), RO), clears_one_by_one(used)].concat());
        assert!(is_empty());
        assert_eq!(kmap_batch(few, &pages).unwrap().pages(), 3);
    });
}

#[test]
fn what_a_forgotten_guard_has_left_is_emptied_all_of_it() {
    task(|task| {
        let pages = frames(3);
        let mut atomic = task.atomic();
        let mut few = atomic.slots().few;
        mem::forget(kmap_batch(few.reborrow(), &pages).unwrap());
        let used = FIRST[0]..FIRST[0] + 3;
        assert_eq!(entries(used.clone()), [RO, RO + 0x1000, RO + 0x2000]);
        let mut guard = None;
        let events = Recorder::record(|| guard = Some(kmap_batch(few.reborrow(), &pages[..1]).unwrap()));
        assert_eq!(events, [clears_one_by_one(used.clone()), sets(used.start..used.start + 1, RO)].concat());
        assert_eq!(entries(used.clone()), [RO, 0, 0]);
        // Also where there is no page to be mapped.
        mem::forget(guard);
        let events = Recorder::record(|| drop(kmap_batch(few, &[] as &[Page])));
        assert_eq!(events, clears_one_by_one(used.start..used.start + 1));
        let reports = REPORTS.take();
        assert_eq!(reports.len(), if debug::ON { 2 } else { 0 }, "{reports:#?}");
        assert!(reports.iter().all(|report| {
            report.starts_with("slot Few on CPU 0: ") && report.contains("forgotten, and the slot is mapped again at")
        }));
    });
}

#[test]
fn batches_lie_behind_the_slots_of_their_cpu() {
    let slots: Vec<(&str, usize)> = crate::fixmap::slots_of_cpu::<K>(1).collect();
    let names = |name: &str| slots.iter().filter(|slot| slot.0 == name).count();
    assert_eq!(["Plain", "Ring", "Few", "Many", "One", "Two"].map(names), [1, 1, 3, 40, 1, 2]);
    let few: Vec<usize> = slots.iter().filter(|slot| slot.0 == "Few").map(|slot| slot.1).collect();
    assert_eq!(few, [0, 1, 2].map(|page| address(PER_CPU + FIRST[0] + page)));
    let distance = if debug::ON { 2 } else { 1 };
    assert_eq!(slots[..2], [("Plain", address(PER_CPU + distance - 1)), ("Ring", address(PER_CPU + 2 * distance - 1))]);
    task(|task| {
        CPU.set(1);
        let pages = frames(2);
        assert_eq!(kmap_batch(task.atomic().slots().few, &pages).unwrap().address(), few[0]);
        CPU.set(0);
    });
}

#[test]
fn batches_and_slots_of_all_contexts_at_once() {
    task(|task| {
        let pages = frames(6);
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let few = kmap_batch(slots.few, &pages[..2]).unwrap();
        let plain = kmap_atomic(slots.plain, &pages[2]);
        let mut irqs_off = slots.deeper.irqs_off();
        let mut inner = irqs_off.slots();
        let one = kmap_batch(inner.one.reborrow(), &pages[3..4]).unwrap();
        let ring = kmap_atomic(inner.ring, &pages[4]);
        let addresses = [few.address(), plain.address(), one.address(), ring.address()];
        let slots: [usize; 2] = if debug::ON { [1, 3] } else { [0, 1] };
        assert_eq!(addresses, [FIRST[0], slots[0], FIRST[2], slots[1]].map(address));
        let found: Vec<(&str, usize)> =
            debug::mappings::<K>().map(|found| (found.slot, found.pfn - 0x14_0000)).collect();
        assert_eq!(found, [("Plain", 2), ("Ring", 4), ("Few", 0), ("Few", 1), ("One", 3)]);
        if debug::ON {
            let places: Vec<u32> = debug::mappings::<K>().map(|found| found.mapped_by.unwrap().line()).collect();
            assert_eq!([places[0] - places[2], places[2] - places[3]], [1, 0]);
        }
        kunmap_batch(one);
    });
    assert!(is_empty());
}

#[test]
fn a_batch_is_given_back_and_used_again() {
    task(|task| {
        let mut pages = frames(2);
        let mut atomic = task.atomic();
        let guard = kmap_batch(atomic.slots().few, &mut pages).unwrap();
        assert_eq!(std::format!("{guard:?}"), std::format!("KmapBatch(Few at {:#x}, 2 pages)", address(FIRST[0])));
        let slot = kunmap_batch(guard);
        assert_eq!(std::format!("{slot:?}"), "BatchSlot(Few, 3 pages)");
        assert!(is_empty());
        let [one, other] = &mut pages[..] else { panic!() };
        assert_eq!(kmap_batch(slot, [other, one]).unwrap().pages(), 2);
    });
}

#[test]
fn shared_frames_are_mapped_to_be_written_and_may_be_one() {
    // SAFETY: I5, I6: exist only as a number, which is never accessed.
    let mut pages = [0, 0].map(|_| unsafe { SharedFrame::<Pae>::from_pfn(Pfn::new(0x14_0000).unwrap()) });
    task(|task| {
        let mut atomic = task.atomic();
        let _guard = kmap_batch(atomic.slots().few, &mut pages).unwrap();
        assert_eq!(entries(FIRST[0]..FIRST[0] + 2), [RW, RW]);
    });
}

#[test]
fn each_page_is_forgotten_in_other_spaces_where_translations_are_tagged() {
    type Tagged = TestKernel<false, km::Set, OwnTables>;
    // Whichever CPU this is, its own window is here.
    CPU.set(1);
    let pages = frames(40);
    // SAFETY: I1: each test is a thread, and enters once.
    unsafe {
        Task::<Tagged>::enter(|task| {
            let few = kmap_batch(task.atomic().slots().few, &pages[..2]).unwrap().address();
            assert_eq!(few, address(FIRST[0]));
            let mut atomic = task.atomic();
            let mut bh_off = atomic.bh_off();
            let mut many = bh_off.slots().many;
            for count in [1, 33] {
                let guard = kmap_batch(many.reborrow(), &pages[..count]).unwrap();
                let events = Recorder::record(|| drop(guard));
                let pages = FIRST[1]..FIRST[1] + count;
                let clears = pages.clone().rev().flat_map(clear);
                let each = pages.flat_map(|page| [Invlpg(address(page)), OtherSpaces(address(page))]);
                assert_eq!(events, clears.chain(each).collect::<Vec<_>>());
            }
            let guard = kmap_batch(many, &pages).unwrap();
            let events = Recorder::record(|| drop(guard));
            assert_eq!(events[80..], [FlushAll], "of all address spaces");
        });
    }
    assert!(is_empty());
}

#[test]
fn global_translations_are_so_in_each_entry() {
    type Global = TestKernel<false, km::Set, GlobalTranslations>;
    let pages = frames(3);
    // SAFETY: I1: each test is a thread, and enters once.
    unsafe {
        Task::<Global>::enter(|task| {
            let mut atomic = task.atomic();
            let _guard = kmap_batch(atomic.slots().few, &pages).unwrap();
            assert!(entries(FIRST[0]..FIRST[0] + 3).iter().all(|entry| entry & 0x100 != 0));
        });
    }
}

/// Runs the self-test on a machine where the page of the window with index `i` has entry `entry_of(i)`, and says which pages were looked at.
fn self_test(
    task: &mut Task<'_, K>,
    entry_of: impl Fn(usize) -> usize,
) -> (Result<(), selftest::Error>, BTreeSet<usize>) {
    let pages = frames(2);
    let mut seen = BTreeSet::new();
    let result = selftest::selftest(task, [(&pages[0], 1), (&pages[1], 2)], |address| {
        let index = address.wrapping_sub(FIXMAP_BASE) / PAGE_SIZE;
        let entry = if index < 512 { entry(entry_of(index)) } else { 0 };
        seen.extend((entry & 1 != 0).then_some(index));
        (entry & 1 != 0).then_some((entry >> 12 & 1) + 1)
    });
    (result, seen)
}

#[test]
fn the_self_test_looks_at_each_page_of_a_batch() {
    task(|task| {
        let (result, seen) = self_test(task, |index| index);
        assert_eq!(result, Ok(()));
        let [few, many, one, _] = FIRST;
        for index in (few..few + 3).chain(many..many + 40).chain([one]) {
            assert!(seen.contains(&index), "page {index} of the window");
        }
        assert!(!seen.contains(&FIRST[3]), "that of NMIs is not this context's");
        assert!(is_empty());

        let wrong = many + 17;
        let (result, _) = self_test(task, |index| if index == wrong { index + 300 } else { index });
        let at = selftest::Place { cpu: CPU.get(), slot: "Many", address: address(wrong) };
        assert_eq!(result, Err(selftest::Error::NotMapped(at)));
        assert!(is_empty());
    });
}

#[test]
fn the_self_test_empties_a_batch_that_was_forgotten() {
    task(|task| {
        let pages = frames(3);
        if !debug::ON {
            mem::forget(kmap_batch(task.atomic().slots().few, &pages).unwrap());
        }
        assert_eq!(self_test(task, |index| index).0, Ok(()));
        assert!(is_empty());
    });
}

#[cfg(feature = "debug")]
#[test]
fn a_batch_that_its_context_leaves_is_reported_once_and_emptied() {
    task(|task| {
        let pages = frames(3);
        mem::forget(kmap_batch(task.atomic().slots().few, &pages).unwrap());
        assert!(is_empty());
    });
    let reports = REPORTS.take();
    assert_eq!(reports.len(), 1, "{reports:#?}");
    assert!(reports[0].starts_with("slot Few on CPU 0: "), "{reports:#?}");
    assert!(reports[0].ends_with("its guard was forgotten, and its context ends"), "{reports:#?}");
}

#[cfg(feature = "debug")]
#[test]
fn a_batch_that_ends_on_another_cpu_is_reported() {
    task(|task| {
        let pages = frames(3);
        let mut atomic = task.atomic();
        let guard = kmap_batch(atomic.slots().few, &pages).unwrap();
        CPU.set(1);
        drop(guard);
        CPU.set(0);
    });
    let reports = REPORTS.take();
    assert_eq!(reports.len(), 1, "{reports:#?}");
    assert!(reports[0].starts_with("slot Few on CPU 1: unmaps "), "{reports:#?}");
}
