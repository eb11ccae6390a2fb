//! Is what this kernel is told of mappings what happened? Run it on one CPU, and on several.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use highmem::debug::Serving;
use highmem::pagetable::Editor;
use highmem::paging::{Flags, PageSize};
use highmem::trace::Event;
use highmem::{Page, kmap, kmap_atomic, kmap_local_page, linux};
use kernel::frames::{self, Frame, SharedFrame};
use kernel::kmap::{ExampleKernel, HardIrq, Softirq, Task};
use kernel::spaces::{self, Tables, USER};
use kernel::sync::IrqLock;
use kernel::{cpu, harness, irq, kmap as kernel_kmap, smp, softirq, thread, timer, trace};

kernel::main!(trace_tests);

fn trace_tests(task: &mut Task<'_>) {
    harness::run_tests(
        task,
        &[
            ("slots_are_told_as_they_are_mapped", slots_are_told_as_they_are_mapped),
            ("handlers_are_told_around_what_they_map", handlers_are_told_around_what_they_map),
            ("local_maps_are_switched_out_and_in", local_maps_are_switched_out_and_in),
            ("users_of_the_pool_are_told", users_of_the_pool_are_told),
            ("page_tables_are_told_as_such", page_tables_are_told_as_such),
            ("all_cpus_are_told", all_cpus_are_told),
            ("each_mapping_has_its_end", each_mapping_has_its_end),
        ],
    )
}

/// A frame above the direct map, where there is one: only those are mapped.
fn frame() -> Frame {
    frames::alloc_highmem().expect("a frame of high memory")
}

/// What this thread's CPU is told of while `f` runs, in this thread or in handlers.
fn told(f: impl FnOnce()) -> Vec<Event> {
    let here = cpu::number();
    let before = trace::records(here).len();
    f();
    assert_eq!(cpu::number(), here);
    trace::records(here)[before..].iter().map(|record| record.event).collect()
}

/// Those of one slot.
fn of_slot(events: &[Event], wanted: &str) -> Vec<Event> {
    let is_wanted = |event: &&Event| match event {
        Event::Mapped { slot, .. }
        | Event::Unmapped { slot, .. }
        | Event::SwitchedOut { slot, .. }
        | Event::SwitchedIn { slot, .. } => *slot == wanted,
        _ => false,
    };
    events.iter().filter(is_wanted).copied().collect()
}

fn slots_are_told_as_they_are_mapped(task: &mut Task<'_>) {
    let (mut one, other) = (frame(), frame());
    let pfns = [one.pfn().number(), other.pfn().number()];
    let mut addresses = [0; 2];
    let line = line!() + 4;
    let events = told(|| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let guard = kmap_atomic(slots.user0, &mut one);
        let other = kmap_atomic(slots.user1, &other);
        addresses = [guard.address(), other.address()];
        drop(guard);
    });
    for (number, (name, writable)) in [("User0", true), ("User1", false)].into_iter().enumerate() {
        let events = of_slot(&events, name);
        let [
            Event::Mapped { address, pfn, writable: may_write, table, caller, .. },
            Event::Unmapped { address: end, .. },
        ] = events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!((address, end, pfn), (addresses[number], addresses[number], pfns[number]));
        assert_eq!((may_write, table), (writable, false));
        assert_eq!((caller.file(), caller.line()), (file!(), line + number as u32));
    }
    let order: Vec<_> = events.iter().filter(|event| matches!(event, Event::Unmapped { .. })).collect();
    assert!(matches!(order[..], [Event::Unmapped { slot: "User0", .. }, Event::Unmapped { slot: "User1", .. }]));
}

static SOFTIRQS: AtomicU32 = AtomicU32::new(0);
static OF_HANDLERS: IrqLock<Option<[Frame; 2]>> = IrqLock::new(None);

fn handlers_are_told_around_what_they_map(task: &mut Task<'_>) {
    fn tick(irq: &mut HardIrq<'_>) {
        OF_HANDLERS.with(|frames| {
            let [frame, _] = frames.as_mut().expect("set below");
            kmap_atomic(irq.slots().irq0, frame).fill(1);
        });
        softirq::raise();
    }
    fn bottom_half(softirq: &mut Softirq<'_>) {
        let mut irqs_off = softirq.irqs_off();
        OF_HANDLERS.with(|frames| {
            let [_, frame] = frames.as_mut().expect("set below");
            kmap_atomic(irqs_off.slots().irq1, frame).fill(2);
        });
        drop(irqs_off);
        SOFTIRQS.fetch_add(1, Relaxed);
    }

    OF_HANDLERS.with(|frames| *frames = Some([frame(), frame()]));
    softirq::set_handler(bottom_half);
    timer::set_handler(tick);
    timer::set_rate(1000);
    let mut page = frame();
    let events = told(|| {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let _guard = kmap_atomic(slots.user0.reborrow(), &mut page);
        // Those that came before are not told.
        SOFTIRQS.store(0, Relaxed);
        while SOFTIRQS.load(Relaxed) < 6 {
            core::hint::spin_loop();
        }
    });
    timer::set_rate(timer::DEFAULT_RATE);
    timer::clear_handler();
    let mut serving = Vec::new();
    let mut seen = [0; 2];
    for event in &events {
        match *event {
            Event::Entered(what) => serving.push(what),
            Event::Left(what) => assert_eq!(serving.pop(), Some(what)),
            Event::Mapped { slot: "Irq0", .. } => {
                assert_eq!(serving.last(), Some(&Serving::InterruptHandler));
                seen[0] += 1;
            }
            Event::Mapped { slot: "Irq1", .. } => {
                assert_eq!(serving.last(), Some(&Serving::SoftirqHandler));
                seen[1] += 1;
            }
            _ => {}
        }
    }
    assert!(serving.is_empty() && seen.iter().all(|&seen| seen >= 5), "{seen:?}, {serving:?}");
}

fn local_maps_are_switched_out_and_in(task: &mut Task<'_>) {
    let mut page = frame();
    let pfn = page.pfn().number();
    let other = thread::spawn_on(cpu::number(), "other", |task| {
        let mut page = frame();
        for _ in 0..4 {
            let mut pinned = task.pinned();
            let (mut local, task) = pinned.local();
            let (mut guard, _) = kmap_local_page(&mut local, &mut page);
            guard.fill(7);
            thread::yield_now(task);
        }
    });
    let events = told(|| {
        let mut pinned = task.pinned();
        let (mut local, task) = pinned.local();
        let (mut guard, _) = kmap_local_page(&mut local, &mut page);
        for round in 0..4 {
            guard.fill(round);
            thread::yield_now(task);
        }
        drop(guard);
    });
    other.join(task);
    let events = of_slot(&events, "LocalInTask0");
    let own = |event: &&Event| match event {
        Event::Mapped { pfn: found, .. }
        | Event::SwitchedOut { pfn: found, .. }
        | Event::SwitchedIn { pfn: found, .. } => *found == pfn,
        _ => false,
    };
    let own: Vec<_> = events.iter().filter(own).collect();
    assert!(matches!(own.first(), Some(Event::Mapped { .. })) && own.len() >= 9, "{own:?}");
    for pair in own[1..].chunks(2) {
        assert!(matches!(pair, [Event::SwitchedOut { .. }, Event::SwitchedIn { .. }]), "{own:?}");
    }
}

fn users_of_the_pool_are_told(task: &mut Task<'_>) {
    let page = frame();
    let pfn = page.pfn().number();
    let mut address = 0;
    let events = told(|| {
        for _ in 0..2 {
            let (guard, _) = kmap(task, &page).expect("nobody gives up");
            address = guard.address();
        }
    });
    let of_pool = |event: &Event| match *event {
        Event::PoolMapped { address, pfn, writable, caller } => {
            assert_eq!((writable, caller.file()), (false, file!()));
            Some((address, Some(pfn)))
        }
        Event::PoolUnmapped { address } => Some((address, None)),
        _ => None,
    };
    let found: Vec<_> = events.iter().filter_map(of_pool).collect();
    assert_eq!(found, [(address, Some(pfn)), (address, None), (address, Some(pfn)), (address, None)]);
}

type Edit<'e, 'cx> = Editor<'e, 'cx, ExampleKernel, SharedFrame, linux::Pte0, linux::Pte1, Tables>;

fn page_tables_are_told_as_such(task: &mut Task<'_>) {
    let page = frame().share();
    let flags = Flags::USER.with(Flags::WRITABLE).with(Flags::NO_EXECUTE);
    let events = told(|| {
        let mut space = spaces::new(task).expect("memory for a top table");
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut tables = Tables;
        let mut edit: Edit<'_, '_> = space.edit(slots.pte0, slots.pte1, &mut tables);
        // SAFETY: nobody loads the space.
        let flush = unsafe { edit.map(0x1000, page.pfn(), PageSize::Small, flags) }.expect("nothing is there");
        edit.flush(flush);
        let flush = edit.unmap(USER, |_| ()).expect("no table is corrupt");
        edit.flush(flush);
    });
    let tables =
        events.iter().filter(|event| matches!(event, Event::Mapped { table: true, slot: "Pte0" | "Pte1", .. }));
    assert!(tables.count() > 0, "{events:?}");
    let others =
        events.iter().filter(|event| matches!(event, Event::Mapped { table: false, slot: "Pte0" | "Pte1", .. }));
    assert_eq!(others.count(), 0);
}

fn all_cpus_are_told(task: &mut Task<'_>) {
    smp::run_on_all(task, |task, _| {
        let (mut one, mut other) = (frame(), frame());
        for round in 0..50 {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            let mut from = kmap_atomic(slots.user0, &mut one);
            let mut to = kmap_atomic(slots.user1, &mut other);
            from.fill(round);
            to.copy_from_slice(&*from);
        }
    });
    for cpu in 0..smp::count() {
        let count =
            trace::records(cpu).iter().filter(|record| matches!(record.event, Event::Mapped { slot: "User1", .. }));
        assert!(count.count() >= 50, "CPU {cpu}");
    }
}

/// All that was told so far, on each CPU: no slot is mapped twice, each mapping ends, time goes on, and handlers nest.
fn each_mapping_has_its_end(_task: &mut Task<'_>) {
    let mut users = 0_i64;
    for cpu in 0..smp::count() {
        assert_eq!(trace::lost(cpu), 0);
        // No handler comes in between on this CPU; others may be in one.
        let records = irq::with_disabled(|| trace::records(cpu));
        assert!(records.is_sorted_by_key(|record| record.time), "CPU {cpu}: time goes back");
        let (mut open, mut serving) = (Vec::new(), Vec::new());
        for record in records {
            match record.event {
                Event::Mapped { address, slot, .. } | Event::SwitchedIn { address, slot, .. } => {
                    assert!(!open.contains(&address), "CPU {cpu}, slot {slot}: mapped twice");
                    open.push(address);
                }
                Event::Unmapped { address, slot } | Event::SwitchedOut { address, slot, .. } => {
                    let at = open.iter().position(|&open| open == address);
                    open.remove(at.unwrap_or_else(|| panic!("CPU {cpu}, slot {slot}: unmapped twice")));
                }
                Event::Entered(what) => serving.push(what),
                Event::Left(what) => assert_eq!(serving.pop(), Some(what), "CPU {cpu}"),
                Event::PoolMapped { .. } => users += 1,
                Event::PoolUnmapped { .. } => users -= 1,
                _ => panic!("CPU {cpu}: told of something new: {}", record.event),
            }
        }
        assert!(open.is_empty(), "CPU {cpu}: still mapped at {open:x?}");
        assert!(serving.is_empty() || cpu != cpu::number(), "CPU {cpu}: {serving:?}");
    }
    assert_eq!(users, 0);
    assert!(kernel_kmap::take_reports().is_empty());
}
