//! Unit tests of the parts: what a reach covers, how segments fall into parts, how a reserve counts.

use super::*;
use crate::paging::Pae;
use crate::test_kernel::{MEANWHILE, TestKernel, WOKEN, calls};
use crate::{Frame, FrameRun, HardIrq, Pfn, Task};
use core::mem;
use core::num::NonZero;
use std::boxed::Box;
use std::string::ToString;
use std::vec::Vec;

type K = TestKernel<false>;
type Low = Reserve<K, Frame<Pae>, 4>;
type Parts = Segments<FrameRun<Pae>, 4>;

/// Nothing above it is within `SMALL`.
const HIGH: u64 = 0x14_0000;

/// Frames 0 to 7. The test kernel has the first four in its direct map.
const SMALL: Reach = Reach { bits: 15 };

fn frame(number: u64) -> Frame<Pae> {
    // SAFETY: I5: each test uses each frame once.
    unsafe { Frame::from_pfn(Pfn::new(number).unwrap()) }
}

fn run(first: u64, pages: usize) -> FrameRun<Pae> {
    // SAFETY: I5: exists only as a number; nothing is copied from or to it in these tests.
    unsafe { FrameRun::from_pfns(Pfn::new(first).unwrap(), NonZero::new(pages).unwrap()) }.unwrap()
}

/// A request for so many pages of high memory.
fn high(pages: usize) -> Parts {
    let mut segments = Segments::new();
    segments.push(Segment::whole(run(HIGH, pages))).unwrap();
    segments
}

fn reserve(pages: u64) -> Low {
    let reserve = Reserve::new(SMALL);
    (0..pages).for_each(|number| reserve.add(frame(number)).unwrap());
    reserve
}

fn task<R>(f: impl FnOnce(&mut Task<'_, K>) -> R) -> R {
    // SAFETY: I1: each test is a thread, and enters once at a time.
    unsafe { Task::enter(f) }
}

fn irq<R>(f: impl FnOnce(&mut HardIrq<'_, K>) -> R) -> R {
    // SAFETY: I1: there are no interrupts in these tests.
    unsafe { HardIrq::enter(f) }
}

/// How many pages are here, lost, and here at the least so far.
fn numbers(reserve: &Low) -> (usize, usize, usize) {
    let stats = reserve.stats();
    (stats.free, stats.lost, stats.low_water)
}

#[test]
fn a_reach_ends_where_its_bits_do() {
    assert_eq!((Reach::ISA.last(), Reach::FOUR_GIB.last()), (0xff_ffff, 0xffff_ffff));
    assert_eq!(Reach::of_bits(64).unwrap().last(), u64::MAX);
    assert_eq!(Reach::of_bits(32), Ok(Reach::FOUR_GIB));
    let pfn = |number| Pfn::<Pae>::new(number).unwrap();
    assert!(Reach::ISA.covers(pfn(0xfff)) && !Reach::ISA.covers(pfn(0x1000)));
    assert!(Reach::FOUR_GIB.covers(pfn(0xf_ffff)) && !Reach::FOUR_GIB.covers(pfn(0x10_0000)));
    let page = Reach::of_bits(12).unwrap();
    assert!(page.covers(pfn(0)) && !page.covers(pfn(1)));
    assert!(Reach::of_bits(64).unwrap().covers(pfn(0xffff_ffff)));
    for bits in [0, 11, 65] {
        let error = Reach::of_bits(bits).unwrap_err().to_string();
        assert_eq!(error, std::format!("a device reaches memory by 12 to 64 address bits, not {bits}"));
    }
}

#[test]
fn a_segment_is_within_reach_if_its_last_byte_is() {
    let covers = |offset, len| SMALL.covers_segment(&Segment::new(run(7, 2), offset, len).unwrap());
    assert!(covers(0, 0x1000) && covers(0xfff, 1) && !covers(0xfff, 2) && !covers(0x1000, 1));
    assert!(covers(0x2000, 0), "no bytes are within every reach");
}

#[test]
fn segments_fall_into_parts_at_the_ends_of_pages() {
    let mut segments = Segments::<_, 5>::new();
    segments.push(Segment::new(run(2, 3), 0xff0, 0x1020).unwrap()).unwrap();
    segments.push(Segment::new(run(9, 1), 0x1000, 0).unwrap()).unwrap();
    let refused = segments.push(Segment::whole(run(20, 2))).unwrap_err();
    assert_eq!(refused.to_string(), "a segment has 2 parts of pages, and the request has room for 1");
    assert_eq!(refused.segment.run().first().number(), 20, "it comes back");
    segments.push(Segment::whole(run(12, 1))).unwrap();
    assert!(segments.push(Segment::new(run(1, 1), 0, 0).unwrap()).is_err(), "an empty one counts");
    let parts: Vec<_> = segments.pieces().map(|piece| (piece.address(), piece.len)).collect();
    assert_eq!(parts, [(0x2ff0, 0x10), (0x3000, 0x1000), (0x4000, 0x10), (0xc000, 0x1000)]);
    assert_eq!((segments.bytes(), segments.iter().count(), segments.into_iter().count()), (0x2020, 3, 3));
}

#[test]
fn a_reserve_takes_only_pages_that_serve() {
    let reserve = Reserve::<K, Frame<Pae>, 1>::new(SMALL);
    let why = |number| {
        let rejected = reserve.add(frame(number)).unwrap_err();
        assert_eq!(rejected.page.into_pfn().number() as u64, number, "the page comes back");
        rejected.why
    };
    assert_eq!(why(8), Rejection::OutOfReach);
    assert_eq!(why(4), Rejection::NoAddress);
    reserve.add(frame(0)).unwrap();
    assert_eq!(why(1), Rejection::Full);
    assert_eq!(reserve.stats().pages, 1);
}

#[test]
fn what_is_within_reach_takes_no_page_and_waits_for_none() {
    let reserve = Low::new(SMALL);
    let mut segments = Parts::new();
    segments.push(Segment::new(run(5, 2), 0x800, 0x1000).unwrap()).unwrap();
    let request = task(|task| reserve.write(task, segments, |atomic| atomic.slots().user0).unwrap().0.submit());
    let extents: Vec<_> = request.extents().collect();
    assert_eq!(extents, [Extent { address: 0x5800, len: 0x800 }, Extent { address: 0x6000, len: 0x800 }]);
    assert_eq!((reserve.stats().bounced, reserve.stats().passed), (0, 2));
    // SAFETY: there is no device.
    let done = irq(|irq| unsafe { request.complete::<_, ()>(irq.slots().bounce_read, Ok(0x1000)) });
    assert_eq!((done.result, done.segments.bytes()), (Ok(0x1000), 0x1000));
}

#[test]
fn pages_come_back_from_each_state() {
    let reserve = reserve(3);
    task(|task| {
        let (prepared, _) = reserve.read(task, high(2)).unwrap();
        assert_eq!(numbers(&reserve), (1, 0, 1));
        drop(prepared);
        assert_eq!(numbers(&reserve), (3, 0, 1), "dropped before submission");
        assert_eq!(reserve.read(task, high(2)).unwrap().0.cancel().bytes(), 0x2000);
        assert_eq!(numbers(&reserve), (3, 0, 1), "cancelled");
        let request = reserve.read(task, high(3)).unwrap().0.submit();
        assert_eq!((numbers(&reserve), request.direction()), ((0, 0, 0), Some(Direction::Read)));
        assert!(request.extents().all(|extent| extent.address < 0x3000 && extent.len == 0x1000));
        // SAFETY: there is no device.
        let done = irq(|irq| unsafe { request.complete(irq.slots().irq1, Err("broken")) });
        assert_eq!((done.result, done.segments.bytes()), (Err("broken"), 0x3000));
        assert_eq!(numbers(&reserve), (3, 0, 0), "completed");
    });
}

#[test]
fn what_a_device_may_still_write_never_comes_back() {
    let reserve = reserve(4);
    task(|task| {
        drop(reserve.read(task, high(1)).unwrap().0.submit());
        assert_eq!(numbers(&reserve), (3, 1, 3));
        mem::forget(reserve.read(task, high(1)).unwrap().0.submit());
        assert_eq!(numbers(&reserve), (2, 1, 2));
        let refused = reserve.read(task, high(4)).err().unwrap();
        assert_eq!(refused.why, Refusal::TooLarge { needed: 4, pages: 3 });
        assert_eq!(refused.to_string(), "a request needs 4 bounce pages, and the reserve has 3");
        assert_eq!(refused.segments.bytes(), 0x4000, "the segments come back");
    });
}

#[test]
fn who_tries_does_not_sleep() {
    let reserve = reserve(2);
    let calls = calls(|| {
        irq(|irq| {
            let first = reserve.try_read(irq.slots().irq0, high(1)).unwrap().submit();
            assert_eq!(reserve.try_read(irq.slots().irq0, high(2)).err().unwrap().why, Refusal::Exhausted);
            let write = reserve.try_write(irq.slots().irq0, high(2)).err().unwrap();
            assert_eq!(write.to_string(), "the reserve of bounce pages is exhausted");
            // SAFETY: there is no device.
            assert_eq!(unsafe { first.complete::<_, ()>(irq.slots().irq0, Ok(0)) }.result, Ok(0));
            drop(reserve.try_read(irq.slots().irq0, high(2)).unwrap());
        });
    });
    assert!(!calls.contains(&"wait"), "{calls:?}");
    assert_eq!(numbers(&reserve), (2, 0, 0));
}

#[test]
fn who_sleeps_has_all_pages_at_once_and_is_woken() {
    let reserve: &'static Low = Box::leak(Box::new(reserve(3)));
    task(|task| {
        let mut held: Vec<_> = (0..2).map(|_| reserve.read(task, high(1)).unwrap().0.submit()).collect();
        let woken = WOKEN.get();
        for request in held.drain(..) {
            MEANWHILE.with_borrow_mut(|meanwhile| {
                meanwhile.push_back(Box::new(move || {
                    // Somebody waits for it, so nobody else has the page that is there.
                    irq(|irq| assert!(reserve.try_read(irq.slots().irq0, high(1)).is_err()));
                    // SAFETY: there is no device.
                    let done = irq(|irq| unsafe { request.complete::<_, ()>(irq.slots().bounce_read, Ok(0)) });
                    assert_eq!(done.result, Ok(0));
                }));
            });
        }
        let (prepared, _) = reserve.read(task, high(3)).unwrap();
        assert_eq!((reserve.stats().free, reserve.stats().sleeps), (0, 1));
        assert_eq!(WOKEN.get() - woken, 2, "each page that comes back wakes");
        assert!(reserve.stats().longest_wait >= 14);
        drop(prepared);
        assert_eq!(WOKEN.get() - woken, 2, "nobody waits any more");
    });
}

#[test]
fn who_gives_up_leaves_the_queue() {
    let reserve = reserve(1);
    task(|task| {
        let request = reserve.read(task, high(1)).unwrap().0.submit();
        assert_eq!(reserve.read(task, high(1)).err().unwrap().why, Refusal::GaveUp);
        // SAFETY: there is no device.
        let done = irq(|irq| unsafe { request.complete::<_, ()>(irq.slots().bounce_read, Ok(0)) });
        assert_eq!(done.result, Ok(0));
        drop(reserve.read(task, high(1)).expect("it is nobody's turn but this one's"));
        assert_eq!(reserve.stats().sleeps, 1);
    });
}

#[test]
fn who_waits_for_pages_that_are_lost_is_told() {
    let reserve: &'static Low = Box::leak(Box::new(reserve(2)));
    task(|task| {
        let request = reserve.read(task, high(1)).unwrap().0.submit();
        MEANWHILE.with_borrow_mut(|meanwhile| meanwhile.push_back(Box::new(move || drop(request))));
        let woken = WOKEN.get();
        let refused = reserve.read(task, high(2)).err().unwrap();
        assert_eq!(refused.why, Refusal::TooLarge { needed: 2, pages: 1 });
        assert!(WOKEN.get() > woken, "it is woken to be told");
        drop(reserve.read(task, high(1)).unwrap());
    });
}

#[test]
fn stats_are_a_table() {
    let stats = ReserveStats { pages: 4, free: 3, low_water: 1, bounced: 17, longest_wait: 99, ..Default::default() };
    let lines: Vec<_> =
        stats.to_string().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected =
        ["pages 4", "free 3", "low water 1", "lost 0", "bounced 17", "passed 0", "sleeps 0", "longest wait 99"];
    assert_eq!(lines, expected);
}

#[test]
fn a_submitted_request_goes_to_any_cpu() {
    static_assertions::assert_impl_all!(Low: Send, Sync);
    static_assertions::assert_impl_all!(Submitted<'static, K, FrameRun<Pae>, Frame<Pae>, 4, 4>: Send);
    static_assertions::assert_impl_all!(Completed<FrameRun<Pae>, (), 4>: Send);
    static_assertions::assert_not_impl_any!(Prepared<'static, 'static, K, FrameRun<Pae>, Frame<Pae>, 4, 4>: Send, Sync);
}
