use core::mem;
use core::panic::Location;
use std::string::{String, ToString};
use std::vec::Vec;

use super::Event::{self, *};
use crate::debug::Serving::*;
use crate::slot::Group;
use crate::test_kernel::{FIXMAP_BASE, PKMAP_BASE, Shared, TestKernel, Traced, Variant, page, traced};
use crate::{
    Frame, HardIrq, KmTypes, Nmi, PAGE_SIZE, Pfn, PoolKernel, Softirq, Task, kmap, kmap_atomic, kmap_pair,
    kunmap_atomic, linux, page_address, try_kmap,
};

type K<V = Traced, T = linux::Set> = TestKernel<false, T, V>;

fn frame(number: u64) -> Frame<crate::paging::Pae> {
    // SAFETY: I5: beyond the test kernel's lowmem exists only as a number; the frames within are touched by one test at a time.
    unsafe { Frame::from_pfn(Pfn::new(number).unwrap()) }
}

fn task<V: Variant, T: KmTypes>(f: impl FnOnce(&mut Task<'_, K<V, T>>)) -> Vec<Event> {
    // SAFETY: I1: each test is a thread, and enters once at a time.
    traced(|| unsafe { Task::enter(f) })
}

fn address(slot: usize) -> usize {
    FIXMAP_BASE + page(0, slot) * PAGE_SIZE
}

/// The line of each event that has one, and then the events without places.
fn without_lines(events: Vec<Event>) -> (Vec<u32>, Vec<Event>) {
    let mut lines = Vec::new();
    let events = events.into_iter().map(|mut event| {
        if let Mapped { caller, .. } | PoolMapped { caller, .. } = &mut event {
            assert_eq!(caller.file(), file!());
            lines.push(caller.line());
            *caller = NOWHERE;
        }
        event
    });
    let events = events.collect();
    (lines, events)
}

const NOWHERE: &Location<'static> = Location::caller();

fn mapped(slot: &'static str, group: Group, place: usize, pfn: usize, writable: bool) -> Event {
    Mapped { slot, group, address: address(place), pfn, writable, table: false, caller: NOWHERE }
}

#[test]
fn a_mapping_is_told_when_it_begins_and_ends_with_who_made_it() {
    let events = task::<Traced, linux::Set>(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let one = kmap_atomic(slots.user0, frame(0x14_0000));
        let other = frame(0x14_0001);
        let two = kmap_atomic(slots.user1, &other);
        drop(one);
        let _ = kunmap_atomic(two);
    });
    let (lines, events) = without_lines(events);
    let expected = [
        mapped("User0", Group::PreemptionOff, 0, 0x14_0000, true),
        mapped("User1", Group::PreemptionOff, 1, 0x14_0001, false),
        Unmapped { slot: "User0", address: address(0) },
        Unmapped { slot: "User1", address: address(1) },
    ];
    assert_eq!(events, expected);
    assert_eq!(lines[1], lines[0] + 2);
}

#[test]
fn a_kernel_that_does_not_ask_hears_nothing() {
    let events = task::<Shared, linux::Set>(|task| drop(kmap_atomic(task.atomic().slots().user0, frame(0x14_0000))));
    assert_eq!(events, []);
}

#[test]
fn a_page_of_the_direct_map_is_not_told() {
    let events = task::<Traced, linux::Set>(|task| {
        drop(kmap_atomic(task.atomic().slots().user0, frame(1)));
        drop(kmap(task, frame(1)).unwrap());
    });
    assert_eq!(events, []);
}

#[test]
fn handlers_nest() {
    let events = traced(|| {
        // SAFETY: I1: there are no interrupts in this test, but for these.
        unsafe {
            Softirq::<K>::enter(|_| {
                HardIrq::<K>::enter(|irq| {
                    drop(kmap_atomic(irq.slots().irq0, frame(0x14_0000)));
                    Nmi::<K>::enter(|_| ());
                });
            });
        }
    });
    let unmapped = Unmapped { slot: "Irq0", address: address(11) };
    let (_, events) = without_lines(events);
    let expected = [
        Entered(SoftirqHandler),
        Entered(InterruptHandler),
        mapped("Irq0", Group::InterruptsOff, 11, 0x14_0000, true),
        unmapped,
        Entered(NmiHandler),
        Left(NmiHandler),
        Left(InterruptHandler),
        Left(SoftirqHandler),
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_forgotten_mapping_ends_where_it_is_found() {
    let events = task::<Traced, linux::Set>(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        mem::forget(kmap_atomic(slot.reborrow(), frame(0x14_0000)));
        drop(kmap_atomic(slot, frame(0x14_0001)));
        mem::forget(kmap_atomic(atomic.slots().user0, frame(0x14_0002)));
    });
    let unmapped = Unmapped { slot: "User0", address: address(0) };
    let mapped = |pfn| mapped("User0", Group::PreemptionOff, 0, pfn, true);
    let (_, events) = without_lines(events);
    let expected = [mapped(0x14_0000), unmapped, mapped(0x14_0001), unmapped, mapped(0x14_0002), unmapped];
    // Without the feature, nobody looks for what is forgotten last.
    assert_eq!(events, expected[..if cfg!(feature = "debug") { 6 } else { 5 }]);
}

crate::km_types! {
    mod km {
        atomic { kept: Kept lazy }
    }
}

#[test]
fn what_a_lazy_slot_keeps_is_not_told() {
    let events = task::<Traced, km::Set>(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().kept;
        for pfn in [0x14_0000, 0x14_0000, 0x14_0001] {
            drop(kmap_atomic(slot.reborrow(), frame(pfn)));
        }
    });
    let (_, events) = without_lines(events);
    assert_eq!(events.len(), 6);
    for (pair, pfn) in events.chunks(2).zip([0x14_0000, 0x14_0000, 0x14_0001]) {
        assert!(
            matches!(pair, [Mapped { slot: "Kept", pfn: found, .. }, Unmapped { slot: "Kept", .. }] if *found == pfn)
        );
    }
}

#[test]
fn each_user_of_the_pool_is_told() {
    // SAFETY: I8: there is no page walker, and nobody else has this pool's addresses.
    unsafe { <K as PoolKernel>::pool().start::<K>() };
    let events = task::<Traced, linux::Set>(|task| {
        let (mut page, other) = (frame(0x14_0000), frame(0x14_0001));
        let (guard, _) = kmap(task, &mut page).unwrap();
        drop(guard);
        let (one, two, _) = kmap_pair(task, &page, &other).unwrap();
        drop((one, two));
        let (one, task) = try_kmap(task, &page).unwrap();
        let (two, _) = page_address(task, &page).unwrap();
        drop((one, two));
    });
    let (lines, events) = without_lines(events);
    let mapped = |entry: usize, pfn, writable| PoolMapped {
        address: PKMAP_BASE + entry * PAGE_SIZE,
        pfn,
        writable,
        caller: NOWHERE,
    };
    let unmapped = |entry: usize| PoolUnmapped { address: PKMAP_BASE + entry * PAGE_SIZE };
    let Some(PoolMapped { address: first, .. }) = events.first() else { panic!("{events:?}") };
    let entry = (first - PKMAP_BASE) / PAGE_SIZE;
    let Some(PoolMapped { address: shared, .. }) = events.get(2) else { panic!("{events:?}") };
    let Some(PoolMapped { address: third, .. }) = events.get(3) else { panic!("{events:?}") };
    let (read, other) = ((shared - PKMAP_BASE) / PAGE_SIZE, (third - PKMAP_BASE) / PAGE_SIZE);
    let expected = [
        mapped(entry, 0x14_0000, true),
        unmapped(entry),
        mapped(read, 0x14_0000, false),
        mapped(other, 0x14_0001, false),
        unmapped(read),
        unmapped(other),
        mapped(read, 0x14_0000, false),
        mapped(read, 0x14_0000, false),
        unmapped(read),
        unmapped(read),
    ];
    assert_eq!(events, expected);
    assert_eq!(lines.len(), 5);
}

#[test]
fn events_are_sentences() {
    let place = Location::caller();
    let mapped = |table, writable| Mapped {
        slot: "Pte0",
        group: Group::PreemptionOff,
        address: 0xffc0_2000,
        pfn: 0x14_0000,
        writable,
        table,
        caller: place,
    };
    let [out, back] = [
        SwitchedOut { slot: "LocalInTask0", address: 0xffc0_3000, pfn: 7 },
        SwitchedIn { slot: "LocalInTask0", address: 0xffc0_3000, pfn: 7 },
    ];
    let said = [
        (mapped(true, true), "slot Pte0: page table pfn 0x140000 is mapped at 0xffc02000, read-write, by "),
        (mapped(false, false), "slot Pte0: pfn 0x140000 is mapped at 0xffc02000, read only, by "),
        (Unmapped { slot: "Pte0", address: 0xffc0_2000 }, "slot Pte0: unmapped at 0xffc02000"),
        (out, "slot LocalInTask0: pfn 0x7 at 0xffc03000 is switched out"),
        (back, "slot LocalInTask0: pfn 0x7 at 0xffc03000 is switched in"),
        (
            PoolMapped { address: 0xfe00_0000, pfn: 8, writable: true, caller: place },
            "kmap pool: pfn 0x8 is mapped at 0xfe000000, read-write, by ",
        ),
        (PoolUnmapped { address: 0xfe00_0000 }, "kmap pool: a user less at 0xfe000000"),
        (Entered(InterruptHandler), "an interrupt begins"),
        (Left(NmiHandler), "an NMI ends"),
    ];
    for (event, text) in said {
        let place = if text.ends_with("by ") { place.to_string() } else { String::new() };
        assert_eq!(event.to_string(), std::format!("{text}{place}"));
    }
}
