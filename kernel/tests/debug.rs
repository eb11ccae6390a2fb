//! Does the feature `debug` catch lies, and only lies?

#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use highmem::{KmType, PAGE_SIZE, debug, kmap_atomic};
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{self, ExampleKernel, HardIrq, Slot, Softirq, Task};
use kernel::{harness, println, probe, softirq, timer};

kernel::main!(debug_tests);

fn debug_tests(task: &mut Task<'_>) {
    harness::run_tests(
        task,
        &[
            ("a_run_over_either_end_of_a_page_faults", a_run_over_either_end_of_a_page_faults),
            ("right_contexts_are_not_reported", right_contexts_are_not_reported),
            ("an_interrupt_context_in_a_task_is_reported", an_interrupt_context_in_a_task_is_reported),
            ("a_softirq_context_in_a_task_is_reported", a_softirq_context_in_a_task_is_reported),
            ("a_task_context_in_an_interrupt_is_reported", a_task_context_in_an_interrupt_is_reported),
            (
                "a_forgotten_guard_is_reported_where_its_context_ends",
                a_forgotten_guard_is_reported_where_its_context_ends,
            ),
            (
                "a_forgotten_guard_is_reported_where_its_slot_is_mapped",
                a_forgotten_guard_is_reported_where_its_slot_is_mapped,
            ),
            ("lowmem_is_mapped_too", lowmem_is_mapped_too),
            ("mappings_say_who_made_them", mappings_say_who_made_them),
        ],
    )
}

fn frame() -> Frame {
    frames::alloc_highmem().expect("a frame of high memory")
}

#[track_caller]
fn map<S: KmType<Set = highmem::linux::Set>>(slot: Slot<'_, S>) {
    kmap_atomic(slot, frame()).fill(1);
}

/// Takes the one report there should be, which starts so, and names this file.
fn the_report(start: &str) -> String {
    let mut reports = kmap::take_reports();
    assert_eq!(reports.len(), 1, "{reports:#?}");
    let report = reports.remove(0);
    println!("  {report}");
    assert!(report.starts_with(start) && report.contains(file!()), "{report}");
    report
}

static TICKS: AtomicU32 = AtomicU32::new(0);
static SOFTIRQS: AtomicU32 = AtomicU32::new(0);

/// Calls `handler` on the timer's ticks until `done` says so.
fn until(handler: fn(&mut HardIrq<'_>), done: impl Fn() -> bool) {
    const PATIENCE: u32 = 1 << 28;
    timer::set_handler(handler);
    let came = (0..PATIENCE).any(|_| {
        core::hint::spin_loop();
        done()
    });
    timer::clear_handler();
    assert!(came, "no tick");
}

fn right_contexts_are_not_reported(task: &mut Task<'_>) {
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    map(slots.user0);
    let mut bh_off = slots.deeper.bh_off();
    let mut slots = bh_off.slots();
    map(slots.softirq0);
    map(slots.deeper.irqs_off().slots().irq0);
    drop(bh_off);

    softirq::set_handler(|softirq| {
        let mut slots = softirq.slots();
        map(slots.softirq1);
        map(slots.deeper.irqs_off().slots().bio_src_irq);
        SOFTIRQS.fetch_add(1, Relaxed);
    });
    fn tick(irq: &mut HardIrq<'_>) {
        map(irq.slots().irq1);
        irq.with_irqs_on(core::hint::spin_loop);
        map(irq.slots().irq0);
        softirq::raise();
    }
    until(tick, || SOFTIRQS.load(Relaxed) >= 3);
}

fn an_interrupt_context_in_a_task_is_reported(_: &mut Task<'_>) {
    // SAFETY: I1: a lie, which is what this test is about; no handler maps anything now.
    unsafe { HardIrq::enter(|irq| map(irq.slots().irq0)) };
    let report = the_report("slot Irq0 on CPU 0 at ");
    assert!(report.contains("needs interrupts off, but this is a thread"), "{report}");
}

fn a_softirq_context_in_a_task_is_reported(_: &mut Task<'_>) {
    // SAFETY: I1: a lie; no softirq maps anything now.
    unsafe { Softirq::enter(|softirq| map(softirq.slots().softirq0)) };
    the_report("slot Softirq0 on CPU 0 at ");
}

fn a_task_context_in_an_interrupt_is_reported(_: &mut Task<'_>) {
    fn tick(_: &mut HardIrq<'_>) {
        if TICKS.fetch_add(1, Relaxed) == 0 {
            // SAFETY: I1: a lie; the task maps nothing now.
            unsafe { Task::enter(|task| map(task.atomic().slots().user1)) };
        }
    }
    until(tick, || TICKS.load(Relaxed) > 0);
    let report = the_report("slot User1 on CPU 0 at ");
    assert!(report.contains("but this is an interrupt"), "{report}");
}

fn a_forgotten_guard_is_reported_where_its_context_ends(task: &mut Task<'_>) {
    let mut atomic = task.atomic();
    let line = line!() + 1;
    mem::forget(kmap_atomic(atomic.slots().pte0, frame()));
    drop(atomic);
    let report = the_report("slot Pte0 on CPU 0: ");
    assert!(report.contains(&format!(":{line}:")) && report.ends_with("its context ends"), "{report}");
    assert!(kmap::slots().all(|(_, address)| kmap::entry(address) == 0), "it is unmapped");
}

fn a_forgotten_guard_is_reported_where_its_slot_is_mapped(task: &mut Task<'_>) {
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    mem::forget(kmap_atomic(slots.user0.reborrow(), frame()));
    let line = line!() + 1;
    drop(kmap_atomic(slots.user0, frame()));
    let report = the_report("slot User0 on CPU 0: ");
    assert!(report.contains("mapped again at ") && report.contains(&format!(":{line}:")), "{report}");
}

fn a_run_over_either_end_of_a_page_faults(task: &mut Task<'_>) {
    let mut atomic = task.atomic();
    let slots = atomic.slots();
    // The neighbours are mapped, too, and still there is nothing directly beside the page.
    let (_before, page, _after) =
        (kmap_atomic(slots.user0, frame()), kmap_atomic(slots.user1, frame()), kmap_atomic(slots.pte0, frame()));
    for beside in [page.address() - 1, page.address() + PAGE_SIZE] {
        // SAFETY: it faults, or else writes to a frame of this test.
        let fault = unsafe { probe::write_u8(beside, 0) }.expect_err("written beside the page");
        assert!(fault.address == beside && !fault.was_present(), "{fault}");
    }
}

fn lowmem_is_mapped_too(task: &mut Task<'_>) {
    let frame = frames::alloc(Zone::Low).expect("a frame of lowmem");
    let mut atomic = task.atomic();
    let mapped = kmap_atomic(atomic.slots().user0, &frame);
    assert!(kmap::slots().any(|(_, address)| address == mapped.address()));
}

fn mappings_say_who_made_them(task: &mut Task<'_>) {
    let (one, mut two) = (frame(), frame());
    let mut atomic = task.atomic();
    let slots = atomic.slots();
    let line = line!() + 1;
    let first = kmap_atomic(slots.user1, &one);
    let second = kmap_atomic(slots.skb_sunrpc_data, &mut two);

    let list: Vec<debug::Mapping> = debug::mappings::<ExampleKernel>().collect();
    list.iter().for_each(|mapping| println!("  {mapping}"));
    let found: Vec<_> = list.iter().map(|found| (found.slot, found.address, found.pfn, found.writable)).collect();
    let expected = [
        ("User1", first.address(), first.pfn().number(), false),
        ("SkbSunrpcData", second.address(), second.pfn().number(), true),
    ];
    assert_eq!(found, expected);
    let lines: Vec<_> = list.iter().filter_map(|found| found.mapped_by).map(|place| place.line()).collect();
    assert_eq!(lines, [line, line + 1]);
}
