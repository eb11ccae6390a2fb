//! Unit tests of the pool, on one thread, on a processor that writes down what it is asked to do.

use super::queue::Waiter;
use super::*;
use crate::machine::recorder::{Event, Event::*, Recorder};
use crate::paging::Pae;
use crate::test_kernel::{
    IRQS_ON, LOWMEM_FRAMES, MEANWHILE, PKMAP_BASE, REPORTS, TestKernel, WOKEN, calls, pool_entry,
};
use crate::{Frame, Kernel, PAGE_SIZE, Pfn, SharedFrame, Task};
use core::mem;
use core::sync::atomic::Ordering::SeqCst;
use std::boxed::Box;
use std::string::ToString;
use std::vec::Vec;

type K = TestKernel<false>;

const HIGH: u64 = 0x14_0000;
const ENTRIES: usize = 4;

/// Frame `number` of high memory.
fn frame(number: u64) -> Frame<Pae> {
    // SAFETY: I5: exists only as a number; each test uses each frame once at a time.
    unsafe { Frame::from_pfn(Pfn::new(HIGH + number).unwrap()) }
}

fn address(entry: usize) -> usize {
    PKMAP_BASE + entry * PAGE_SIZE
}

fn task<R>(f: impl FnOnce(&mut Task<'_, K>) -> R) -> R {
    // SAFETY: I9: the table exists only as memory. I1: each test is a thread, and enters once at a time.
    unsafe {
        K::pool().start::<K>();
        Task::enter(f)
    }
}

/// Maps and unmaps these frames, one after the other, and says where they were.
fn visit(task: &mut Task<'_, K>, frames: impl IntoIterator<Item = u64>) -> Vec<usize> {
    frames.into_iter().map(|number| kmap(task, frame(number)).unwrap().0.address()).collect()
}

fn in_use() -> usize {
    stats::<K>().in_use
}

#[test]
fn a_page_that_is_mapped_twice_has_one_address_and_one_entry() {
    task(|task| {
        let page = frame(0);
        let (one, task) = kmap(task, &page).unwrap();
        let mut again = None;
        let events = Recorder::record(|| again = try_kmap(task, &page).ok().map(|(guard, _)| guard.address()));
        assert_eq!((one.address(), again), (address(0), Some(address(0))));
        assert_eq!(events, [], "neither a store nor a flush");
        assert_eq!((in_use(), stats::<K>().hits, stats::<K>().remaps), (1, 1, 1));
        drop(one);
        assert_eq!((in_use(), stats::<K>().idle), (0, 1));
    });
}

#[test]
fn a_mapping_is_one_entry_written_and_its_end_is_nothing() {
    task(|task| {
        let at = &raw const *K::pool().table() as usize;
        let mut guard = None;
        let events = Recorder::record(|| guard = Some(kmap(task, frame(0x42)).unwrap().0));
        assert_eq!(events, [Write(at + 4, 0x8000_0001), Write(at, 0x4004_2063)]);
        assert_eq!(Recorder::record(|| guard = None), []);
        assert_eq!(pool_entry(0), 0x8000_0001_4004_2063, "it stays, idle");
    });
}

#[test]
fn an_idle_page_is_revived_without_store_or_flush() {
    task(|task| {
        let first = visit(task, 0..4);
        let mut second = Vec::new();
        assert_eq!(Recorder::record(|| second = visit(task, [3, 1, 0, 2])), []);
        assert_eq!(second, [3, 1, 0, 2].map(|page| first[page]));
        assert_eq!((stats::<K>().hits, stats::<K>().remaps, stats::<K>().flushes), (4, 4, 0));
    });
}

#[test]
fn when_no_entry_is_free_all_idle_ones_are_taken_back_with_one_flush() {
    task(|task| {
        visit(task, 0..4);
        let events = Recorder::record(|| drop(visit(task, [4])));
        let flushed: Vec<Event> = (0..ENTRIES).map(|entry| Invlpg(address(entry))).collect();
        let at = events.iter().position(|event| *event == flushed[0]).unwrap();
        assert_eq!(events[at..at + 4], flushed, "the other CPU");
        assert_eq!(events[at + 4..at + 8], flushed, "and this one");
        assert_eq!(events[..at].len(), 2 * ENTRIES, "all are cleared before: {events:?}");
        assert!(events[..at].iter().all(|event| matches!(event, Write(_, 0))));
        assert_eq!(events.len(), at + 8 + 2, "and then one is written");
        assert_eq!(stats::<K>().flushes, 1);
        visit(task, 5..8);
        assert_eq!((stats::<K>().flushes, stats::<K>().remaps), (1, 8), "one flush for all of them");
    });
}

#[test]
fn what_is_in_use_is_neither_taken_back_nor_flushed() {
    task(|task| {
        visit(task, 0..4);
        let page = frame(3);
        let (held, task) = kmap(task, &page).unwrap();
        let (keep, other) = (held.address(), frame(9));
        let events = Recorder::record(|| {
            for _ in 0..2 * ENTRIES {
                drop(try_kmap(task, &other).unwrap());
                flush_unused::<K, _>(task);
            }
        });
        assert!(!events.contains(&Invlpg(keep)), "{events:?}");
        assert_eq!(pool_entry((keep - PKMAP_BASE) / PAGE_SIZE) >> 12 & 0xff_ffff, HIGH + 3);
        drop(held);
    });
}

/// The frames whose place in the index is so many behind that of the first: the highest bits of a product, as many as a table for 512
/// entries has.
fn with_place(behind: u32) -> impl Iterator<Item = u64> {
    let home = |number: u64| ((HIGH + number) as u32).wrapping_mul(0x9e37_79b9) >> (32 - 11);
    (0..).filter(move |&number| home(number) == home(0) + behind)
}

#[test]
fn a_page_is_found_when_the_one_at_the_place_before_goes() {
    task(|task| {
        visit(task, with_place(0).take(1));
        let page = frame(with_place(1).next().unwrap());
        let (held, task) = kmap(task, &page).unwrap();
        flush_unused::<K, _>(task);
        assert_eq!(try_kmap(task, &page).unwrap().0.address(), held.address());
    });
}

#[test]
fn pages_that_are_looked_for_at_one_place_are_found_when_others_go() {
    let mut numbers = with_place(0);
    let pages = [(); 3].map(|()| frame(numbers.next().unwrap()));
    task(|task| {
        let places = [0, 1, 2].map(|page| kmap(task, &pages[page]).unwrap().0.address());
        let (last, task) = kmap(task, &pages[2]).unwrap();
        let (second, task) = try_kmap(task, &pages[1]).unwrap();
        flush_unused::<K, _>(task);
        let again = [1, 2].map(|page| try_kmap(task, &pages[page]).unwrap().0.address());
        assert_eq!(again, places[1..], "the first is gone");
        drop(second);
        flush_unused::<K, _>(task);
        assert_eq!(try_kmap(task, &pages[2]).unwrap().0.address(), places[2], "the second is gone, too");
        drop(last);
        assert_eq!((in_use(), stats::<K>().idle), (0, 1));
        flush_unused::<K, _>(task);
        assert_eq!(K::pool().index.candidates(HIGH as usize).count(), 0, "nothing is left of any");
    });
}

#[test]
fn the_address_behind_the_pool_is_none_of_it() {
    assert_eq!(Span::<K>::entry_at(address(0)), Some(0));
    assert_eq!(Span::<K>::entry_at(address(ENTRIES) - 1), Some(ENTRIES - 1));
    assert_eq!(Span::<K>::entry_at(address(ENTRIES)), None);
    assert_eq!(Span::<K>::entry_at(address(0) - 1), None);
}

#[test]
fn nothing_is_flushed_if_nothing_was_idle() {
    task(|task| {
        assert_eq!(Recorder::record(|| flush_unused::<K, _>(task)), []);
        let page = frame(0);
        let (_held, task) = kmap(task, &page).unwrap();
        assert_eq!(Recorder::record(|| flush_unused::<K, _>(task)), []);
        assert_eq!(stats::<K>().flushes, 0);
    });
}

#[test]
fn what_is_flushed_unused_has_no_address_left() {
    task(|task| {
        let page = frame(0);
        drop(kmap(task, &page).unwrap());
        assert_ne!(pool_entry(0), 0, "it is idle");
        let events = Recorder::record(|| flush_unused::<K, _>(task));
        let [Write(low, 0), Write(high, 0), Invlpg(first), Invlpg(second)] = events[..] else { panic!("{events:?}") };
        assert_eq!((high, first, second), (low + 4, address(0), address(0)), "cleared, then forgotten by both CPUs");
        assert_eq!(pool_entry(0), 0);
        assert!(page_address::<K, _, _>(task, &page).is_none());
    });
}

#[test]
fn the_lock_is_held_with_interrupts_off() {
    assert!(IRQS_ON.get());
    K::pool().locked::<K, _>(|_| assert!(!IRQS_ON.get()));
    assert!(IRQS_ON.get());
    // Of whoever had them off already, they stay off.
    IRQS_ON.set(false);
    K::pool().locked::<K, _>(|_| assert!(!IRQS_ON.get()));
    assert!(!IRQS_ON.get());
}

#[test]
fn whoever_waits_for_the_lock_serves_its_interrupts() {
    for were_on in [true, false] {
        IRQS_ON.set(were_on);
        let of_another = K::pool().lists.try_lock();
        assert!(of_another.is_some());
        meanwhile(move || assert_eq!(IRQS_ON.get(), were_on));
        meanwhile(move || drop(of_another));
        let calls = calls(|| K::pool().locked::<K, _>(|_| ()));
        assert_eq!(calls.iter().filter(|&&call| call == "relax").count(), 2, "{calls:?}");
        assert_eq!(IRQS_ON.get(), were_on);
    }
}

#[test]
fn whoever_waits_for_the_flush_of_another_leaves_the_lock_to_it() {
    task(|task| {
        visit(task, 0..4);
        K::pool().flushing.store(1, SeqCst);
        meanwhile(|| ());
        meanwhile(|| {
            K::pool().flushing.store(0, SeqCst);
            K::pool().flush_unused::<K>();
        });
        let mut at = Vec::new();
        let calls = calls(|| at = visit(task, [4]));
        let waits = calls.iter().position(|call| *call == "relax").unwrap();
        assert_eq!(calls[waits..][..2], ["relax", "relax"], "and nothing in between: {calls:?}");
        assert_eq!((at.len(), stats::<K>().flushes), (1, 1));
    });
}

#[test]
fn a_page_that_is_read_and_the_same_page_written_have_different_entries() {
    const WRITABLE: u64 = 2;
    task(|task| {
        let mut page = frame(0);
        let read = kmap(task, &page).unwrap().0.address();
        let written = kmap(task, &mut page).unwrap().0.address();
        assert_eq!((read, written), (address(0), address(1)));
        assert_eq!((pool_entry(0) & WRITABLE, pool_entry(1) & WRITABLE), (0, WRITABLE));
        assert_eq!(kmap(task, &page).unwrap().0.address(), read);
    });
}

#[test]
fn pages_of_the_direct_map_need_no_entry() {
    task(|task| {
        // SAFETY: I5: lowmem of this test kernel, used here alone.
        let mut page = unsafe { Frame::from_pfn(Pfn::<Pae>::new(LOWMEM_FRAMES as u64 - 1).unwrap()) };
        if K::FORCE_MAP {
            return;
        }
        let events = Recorder::record(|| {
            let (mut bytes, _) = kmap(task, &mut page).unwrap();
            bytes.fill(7);
            assert!(bytes.iter().all(|&byte| byte == 7));
        });
        assert_eq!(events, []);
        assert_eq!(stats::<K>().remaps, 0);
    });
}

#[test]
fn pages_of_the_direct_map_at_once_need_no_pool() {
    if K::FORCE_MAP {
        return;
    }
    // SAFETY: I5: lowmem of this test kernel, used here alone. I1: each test is a thread, and enters once at a time.
    let [one, other] =
        [1, 2].map(|number| unsafe { Frame::<Pae>::from_pfn(Pfn::new(LOWMEM_FRAMES as u64 - number).unwrap()) });
    // SAFETY: as above.
    unsafe {
        Task::<K>::enter(|task| {
            let calls = calls(|| assert!(kmap_pair(task, &one, &other).is_ok()));
            assert_eq!(calls, [""; 0], "nobody is asked");
        });
    }
}

#[test]
fn an_error_can_be_unwrapped_whatever_the_page_is() {
    struct Silent;
    let error = KmapError { page: Silent, why: Refusal::Exhausted };
    assert_eq!(std::format!("{error:?}"), "KmapError { why: Exhausted, .. }");
}

#[test]
fn an_exhausted_pool_is_an_error_that_gives_the_page_back() {
    task(|task| {
        let pages: [_; ENTRIES] = core::array::from_fn(|number| frame(number as u64));
        let (guards, task) = kmap_all(task, pages).unwrap();
        let error = try_kmap(task, frame(4)).map(|_| ()).unwrap_err();
        assert_eq!((error.why, error.page.pfn()), (Refusal::Exhausted, frame(4).pfn()));
        assert!(error.to_string().contains("exhausted"));
        drop(guards);
        assert!(try_kmap(task, frame(4)).is_ok());
    });
}

#[test]
fn the_pool_does_nothing_before_it_is_started() {
    // SAFETY: I1: each test is a thread, and enters once at a time.
    let error = unsafe { Task::<K>::enter(|task| kmap(task, frame(0)).map(|_| ()).unwrap_err()) };
    assert_eq!(error.why, Refusal::NotStarted);
    assert_eq!(pool_entry(0), 0);
}

#[test]
fn all_pages_at_once_or_none() {
    task(|task| {
        let (first, second) = (frame(0), frame(1));
        let (held, task) = kmap_pair::<K, _, _, _>(task, &first, &second).unwrap().split();
        let error = try_all(task, [frame(2), frame(3), frame(4)]).unwrap_err();
        assert_eq!(error, Refusal::Exhausted);
        assert_eq!(in_use(), 2, "of the three, none is in use");
        drop(held);
    });

    trait Split<A> {
        fn split(self) -> A;
    }
    impl<'a, P, Q, T> Split<((Kmap<'a, K, P>, Kmap<'a, K, Q>), T)> for (Kmap<'a, K, P>, Kmap<'a, K, Q>, T) {
        fn split(self) -> ((Kmap<'a, K, P>, Kmap<'a, K, Q>), T) {
            ((self.0, self.1), self.2)
        }
    }

    /// What `kmap_all` does, for somebody who does not wait.
    fn try_all<const COUNT: usize>(_: &mut MaySleep<'_, K>, pages: [Frame<Pae>; COUNT]) -> Result<(), Refusal> {
        take_all::<K, COUNT>(pages.each_ref().map(Place::of::<K, _>), None).map(|_| ())
    }
}

#[test]
fn the_same_page_several_times_at_once_needs_one_entry() {
    task(|task| {
        let page = frame(0);
        let (guards, _) =
            kmap_all(task, [&page; 9].map(|page| page)[..4].try_into().map(|pages: [_; 4]| pages).unwrap()).unwrap();
        assert!(guards.iter().all(|guard| guard.address() == address(0)));
        assert_eq!(in_use(), 1);
        drop(guards);
        assert_eq!((in_use(), stats::<K>().idle), (0, 1));
    });
}

/// Takes all entries, as if by other tasks, and gives a function that leaves the one of each page.
fn exhaust() -> impl Fn(u64) + Clone + 'static {
    let take = |number: u64| {
        let wanted = Wanted { pfn: (HIGH + number) as usize, writable: true };
        K::pool().take::<K>(&[Some(wanted)], &mut [0], None).unwrap();
    };
    (100..100 + ENTRIES as u64).for_each(take);
    |number| {
        let wanted = Wanted { pfn: (HIGH + number) as usize, writable: true };
        let address = K::pool().find::<K>(wanted).unwrap().unwrap();
        let entry = Span::<K>::entry_at(address).unwrap();
        K::pool().leave::<K>(entry);
        K::pool().leave::<K>(entry);
    }
}

fn meanwhile(f: impl FnOnce() + 'static) {
    MEANWHILE.with_borrow_mut(|queue| queue.push_back(Box::new(f)));
}

#[test]
fn a_task_sleeps_until_another_unmaps_and_gets_that_entry() {
    task(|task| {
        let leave = exhaust();
        meanwhile(move || leave(102));
        let before = WOKEN.get();
        let calls = calls(|| assert_eq!(visit(task, [0]), [address(2)]));
        assert_eq!(calls.iter().filter(|&&call| call == "wait").count(), 1);
        assert_eq!(WOKEN.get() - before, 1, "the one who left it wakes");
        assert_eq!((stats::<K>().sleeps, stats::<K>().longest_wait), (1, 7));
    });
}

#[test]
fn an_entry_that_is_handed_over_is_flushed_before_it_is_used() {
    task(|task| {
        let leave = exhaust();
        meanwhile(move || leave(101));
        let events = Recorder::record(|| drop(visit(task, [0])));
        let write = |event: &Event| matches!(event, Write(_, value) if *value != 0);
        let (flush, set) =
            (events.iter().rposition(|event| *event == Invlpg(address(1))), events.iter().position(write));
        assert!(flush.unwrap() < set.unwrap(), "{events:?}");
        assert!(!events.contains(&Invlpg(address(0))), "and nothing else is: {events:?}");
    });
}

#[test]
fn a_sleeper_looks_again_whether_somebody_else_has_mapped_its_page() {
    task(|task| {
        let leave = exhaust();
        meanwhile(move || {
            // While it sleeps, another CPU maps the page with an entry that becomes free, and keeps it; another one is handed over.
            let page = Wanted { pfn: HIGH as usize, writable: true };
            leave(100);
            let stolen = K::pool().locked::<K, _>(|lists| {
                assert!(lists.free.length + lists.stale.length == 1);
                let entry = lists.stale.pop().or_else(|| lists.free.pop()).unwrap();
                let Err(vacant) = K::pool().index.locate(page.pfn, |_| false) else { unreachable!() };
                K::pool().fill::<K>(lists, vacant, entry, page);
                entry
            });
            assert_eq!(stolen, 0);
            leave(103);
        });
        let remaps = stats::<K>().remaps;
        assert_eq!(visit(task, [0]), [address(0)], "it is where the other CPU has mapped it");
        assert_eq!(stats::<K>().remaps, remaps + 1, "and no entry is filled for it a second time");
    });
}

#[test]
fn who_waits_for_several_goes_on_only_with_all_of_them() {
    task(|task| {
        let leave = exhaust();
        let [one, two, three] = [leave.clone(), leave.clone(), leave];
        meanwhile(move || one(100));
        meanwhile(move || two(101));
        meanwhile(move || {
            assert_eq!(stats::<K>().in_use, 2, "nothing is taken before there is enough");
            three(103);
        });
        let (guards, _) = kmap_all(task, [frame(0), frame(1), frame(2)]).unwrap();
        assert_eq!(guards.len(), 3);
        assert_eq!(stats::<K>().sleeps, 1);
    });
}

#[test]
fn what_is_free_belongs_to_those_who_wait() {
    task(|task| {
        let leave = exhaust();
        let one = leave.clone();
        meanwhile(move || {
            one(100);
            // Somebody who does not wait comes first, and gets nothing.
            let wanted = Wanted { pfn: (HIGH + 50) as usize, writable: true };
            assert_eq!(K::pool().take::<K>(&[Some(wanted)], &mut [0], None), Err(Refusal::Exhausted));
            // But a page that is mapped is there for everybody.
            let mapped = Wanted { pfn: (HIGH + 101) as usize, writable: true };
            let entry = K::pool().find::<K>(mapped).unwrap().and_then(Span::<K>::entry_at).unwrap();
            K::pool().leave::<K>(entry);
        });
        assert_eq!(visit(task, [0]), [address(0)]);
    });
}

#[test]
fn what_is_more_than_those_need_who_wait_is_for_all() {
    task(|task| {
        let other = Box::into_raw(Box::new(Waiter::needs(2)));
        // SAFETY: it is in no queue, and stays there until it is removed.
        K::pool().locked::<K, _>(|lists| unsafe { lists.queue.push(&K::pool().front, other) });
        let mut try_visit = |number| match try_kmap(task, frame(number)) {
            Ok((guard, _)) => Ok(guard.address()),
            Err(refused) => Err(refused.why),
        };
        assert_eq!(try_visit(0), Ok(address(0)));
        assert_eq!((stats::<K>().idle, K::pool().available.load(SeqCst)), (0, 4), "it is handed over");
        let keep = |number: u64| {
            let mut address = [0];
            let wanted = Wanted { pfn: (HIGH + number) as usize, writable: true };
            K::pool().take::<K>(&[Some(wanted)], &mut address, None).map(|()| address[0])
        };
        assert_eq!((keep(1), keep(2)), (Ok(address(1)), Ok(address(0))), "one is left, and one is reclaimed");
        assert_eq!(K::pool().available.load(SeqCst), 2, "as many as the other needs");
        assert_eq!(try_visit(3), Err(Refusal::Exhausted));
        assert_eq!(keep(3), Err(Refusal::Exhausted));
        assert_eq!(try_visit(1), Ok(address(1)), "it is mapped");
        // SAFETY: it is in the queue.
        K::pool().locked::<K, _>(|lists| unsafe { lists.queue.remove(&K::pool().front, other) });
        assert!(try_visit(3).is_ok());
        // SAFETY: it is in no queue any more.
        drop(unsafe { Box::from_raw(other) });
    });
}

#[test]
fn who_becomes_the_first_looks_whether_its_page_is_mapped() {
    task(|task| {
        let leave = exhaust();
        leave(101);
        let other = Box::into_raw(Box::new(Waiter::needs(1)));
        let pool = K::pool();
        // SAFETY: it is in no queue, and stays there until it is removed.
        pool.locked::<K, _>(|lists| unsafe { lists.queue.push(&pool.front, other) });
        meanwhile(move || {
            assert_eq!((stats::<K>().idle, pool.available.load(SeqCst)), (0, 1), "taken back for the one who waits");
            // Which maps the same page, keeps it, and goes.
            let page = Wanted { pfn: HIGH as usize, writable: true };
            pool.locked::<K, _>(|lists| {
                let entry = lists.stale.pop().unwrap();
                let Err(vacant) = pool.index.locate(page.pfn, |_| false) else { unreachable!() };
                pool.fill::<K>(lists, vacant, entry, page);
                pool.available.store(0, SeqCst);
                // SAFETY: it is in the queue.
                unsafe { lists.queue.remove(&pool.front, other) };
            });
        });
        assert_eq!(visit(task, [0]), [address(1)]);
        // SAFETY: it is in no queue any more.
        drop(unsafe { Box::from_raw(other) });
    });
}

#[test]
fn who_takes_back_what_another_is_about_to_hand_over_wakes() {
    task(|task| {
        let _entries_stay_in_use = exhaust();
        meanwhile(|| {
            // The last user has left, and another CPU flushes before it can hand over the entry.
            K::pool().entries[2].leave();
            let before = WOKEN.get();
            K::pool().flush_unused::<K>();
            assert_eq!(WOKEN.get() - before, 1);
        });
        assert_eq!(visit(task, [0]), [address(2)]);
    });
}

#[test]
fn a_wait_that_is_given_up_is_an_error_and_leaves_no_trace() {
    task(|task| {
        let leave = exhaust();
        let error = kmap(task, frame(0)).map(|_| ()).unwrap_err();
        assert_eq!((error.why, error.page.pfn()), (Refusal::GaveUp, frame(0).pfn()));
        assert!(K::pool().front.is_empty());
        let before = WOKEN.get();
        leave(100);
        assert_eq!(WOKEN.get(), before, "nobody waits any more");
        assert_eq!(visit(task, [0]), [address(0)]);
    });
}

#[test]
fn all_are_left_if_one_cannot_be_had() {
    task(|task| {
        let (page, full) = (frame(0), frame(1));
        drop(kmap(task, &full).unwrap());
        K::pool().entries[0].set_users(entries::MOST_USERS);
        let error = kmap_all(task, [&page, &full]).map(|_| ()).unwrap_err();
        assert_eq!(error.why, Refusal::TooManyUsers);
        assert_eq!((in_use(), stats::<K>().idle), (1, 1), "the first page has no user left");
    });
    REPORTS.take();
}

#[test]
fn more_users_than_can_be_counted_are_an_error() {
    task(|task| {
        let page = frame(0);
        drop(kmap(task, &page).unwrap());
        K::pool().entries[0].set_users(entries::MOST_USERS - 1);
        mem::forget(kmap(task, &page).unwrap());
        let error = kmap(task, &page).map(|_| ()).unwrap_err();
        assert_eq!(error.why, Refusal::TooManyUsers);
        assert_eq!(K::pool().entries[0].users(), Some((entries::MOST_USERS, false)));
    });
    REPORTS.take();
}

#[test]
fn a_forgotten_guard_keeps_its_entry_and_nothing_else() {
    task(|task| {
        mem::forget(kmap(task, frame(0)).unwrap());
        REPORTS.take();
        visit(task, 1..20);
        assert_eq!(pool_entry(0) >> 12 & 0xff_ffff, HIGH);
        assert_eq!(in_use(), 1);
    });
}

#[cfg(feature = "debug")]
#[test]
fn a_forgotten_guard_is_reported_at_the_next_mapping_or_the_end_of_the_task() {
    let mut lines = [0; 2];
    let mut reports = Vec::new();
    task(|task| {
        lines[0] = line!() + 1;
        mem::forget(kmap(task, frame(0)).unwrap());
        drop(kmap(task, frame(1)).unwrap());
        reports.extend(REPORTS.take());
        drop(kmap(task, frame(1)).unwrap());
        assert_eq!(REPORTS.take(), [""; 0], "once");
        lines[1] = line!() + 1;
        mem::forget(kmap_all(task, [frame(2), frame(3)]).unwrap());
    });
    reports.extend(REPORTS.take());
    assert_eq!(reports.len(), 2, "{reports:#?}");
    for ((report, line), guards) in reports.iter().zip(lines).zip([1, 2]) {
        assert!(report.starts_with(&std::format!("kmap pool: {guards} guard(s)")), "{report}");
        assert!(
            report.ends_with(&std::format!("{}:{line}:27", file!()))
                || report.contains(&std::format!("{}:{line}:", file!())),
            "{report}"
        );
    }
}

#[cfg(feature = "debug")]
#[test]
fn a_pool_used_with_interrupts_off_is_reported() {
    crate::machine::recorder::INTERRUPTS_ON.set(Some(false));
    task(|task| drop(kmap(task, frame(0)).unwrap()));
    crate::machine::recorder::INTERRUPTS_ON.set(None);
    let reports = REPORTS.take();
    assert_eq!(reports.len(), 1, "{reports:#?}");
    assert!(reports[0].starts_with("kmap pool on CPU 0 at ") && reports[0].contains(file!()), "{}", reports[0]);
}

#[test]
fn kunmap_gives_the_page_back() {
    task(|task| {
        let (guard, _) = kmap(task, frame(5)).unwrap();
        let page = kunmap(guard);
        assert_eq!((page.pfn(), in_use()), (frame(5).pfn(), 0));
    });
}

#[test]
fn page_address_finds_what_is_mapped_and_keeps_it() {
    task(|task| {
        let page = frame(0);
        assert!(page_address::<K, _, _>(task, &page).is_none());
        let (guard, task) = kmap(task, &page).unwrap();
        let address = guard.address();
        let (found, _) = page_address::<K, _, _>(task, &page).unwrap();
        assert_eq!(found.address(), address);
        drop(guard);
        assert_eq!(in_use(), 1, "the one that was found keeps it");
        drop(found);
        assert_eq!(in_use(), 0);
    });
}

#[test]
fn every_context_with_interrupts_on_can_map_what_it_need_not_wait_for() {
    task(|task| {
        let mut atomic = task.atomic();
        drop(try_kmap(&mut atomic, frame(0)).unwrap());
        let mut slots = atomic.slots();
        // Under a mapping in a slot, too.
        let source = frame(9);
        let _slot = crate::kmap_atomic(slots.user0, &source);
        drop(try_kmap(&mut slots.deeper, frame(1)).unwrap());
        let mut bh_off = slots.deeper.bh_off();
        let (_guard, bh_off) = try_kmap(&mut bh_off, frame(2)).unwrap();
        // The guard stays while interrupts are off, and may end there.
        let _irqs_off = bh_off.irqs_off();
    });
    // SAFETY: I1: nothing is interrupted.
    unsafe { crate::Softirq::<K>::enter(|softirq| drop(try_kmap(softirq, frame(3)).unwrap())) };
}

#[test]
fn shared_memory_is_copied_here_as_well() {
    if K::FORCE_MAP {
        return;
    }
    task(|task| {
        // SAFETY: I5, I6: lowmem of this test kernel, used here alone.
        let mut page = unsafe { SharedFrame::from_pfn(Pfn::<Pae>::new(0).unwrap()) };
        let (mut bytes, _) = kmap(task, &mut page).unwrap();
        bytes.write_at(4090, &[1, 2, 3, 4, 5, 6]).unwrap();
        assert!(bytes.write_at(4091, &[0; 6]).is_err());
        let mut back = [0; 6];
        bytes.read_at(4090, &mut back).unwrap();
        assert_eq!(back, [1, 2, 3, 4, 5, 6]);
    });
}

#[test]
fn stats_are_a_table() {
    task(|task| {
        visit(task, 0..5);
        let text = stats::<K>().to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["entries", "4"]);
        assert!(lines.contains(&std::vec!["remaps", "5"]) && lines.contains(&std::vec!["flushes", "1"]), "{text}");
    });
}
