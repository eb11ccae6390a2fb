//! Do local maps stay with their thread, whatever runs on its CPU meanwhile? On as many CPUs as there are.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicU32, AtomicUsize};
use core::time::Duration;

use highmem::local::{InIrq, InTask, Locals};
use highmem::page::{Uncached, VolatileReadOnly};
use highmem::typenum::U0;
use highmem::{
    Kernel, KmType, PAGE_SIZE, Page, clear_highpage, copy_highpage, kmap_atomic, kmap_local_page, kmap_local_pfn,
    kunmap_local, local,
};
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{self, ExampleKernel, HardIrq, LOCAL_LEVELS, MaySleepHere, Task};
use kernel::sync::IrqLock;
use kernel::{cpu, harness, smp, thread, timer};

kernel::main!(local_tests);

fn local_tests(task: &mut Task<'_>) {
    harness::run_tests(
        task,
        &[
            ("each_depth_has_an_entry_of_its_own", each_depth_has_an_entry_of_its_own),
            ("maps_may_end_in_any_order", maps_may_end_in_any_order),
            ("who_runs_next_sees_no_map_of_the_last", who_runs_next_sees_no_map_of_the_last),
            ("maps_are_back_after_a_switch", maps_are_back_after_a_switch),
            ("a_pinned_thread_stays_on_its_cpu", a_pinned_thread_stays_on_its_cpu),
            ("a_thread_that_is_not_pinned_moves", a_thread_that_is_not_pinned_moves),
            ("an_interrupt_maps_beside_the_task", an_interrupt_maps_beside_the_task),
            ("a_guard_that_was_forgotten_is_unmapped_by_the_next", a_guard_that_was_forgotten_is_unmapped_by_the_next),
            ("a_thread_that_ends_pinned_leaves_nothing", a_thread_that_ends_pinned_leaves_nothing),
            ("a_frame_can_be_mapped_uncached", a_frame_can_be_mapped_uncached),
        ],
    )
}

// What the tests have in common

fn frame() -> Frame {
    frames::alloc_highmem().or_else(|| frames::alloc(Zone::Low)).expect("a frame is free")
}

/// For so long threads go where they like.
const TIME_TO_MOVE: Duration = Duration::from_millis(300);

/// How long something may take that takes far less.
const PATIENCE: Duration = Duration::from_secs(20);

/// A frame full of a byte.
fn frame_of(task: &mut MaySleepHere<'_>, byte: u8) -> Frame {
    let mut frame = frame();
    kmap_atomic(task.atomic().slots().user0, &mut frame).fill(byte);
    frame
}

/// Reads the page's first word through the TLB, as code does that uses it.
fn is_full_of(page: &[u8; PAGE_SIZE], byte: u8) -> bool {
    core::hint::black_box(page).iter().all(|&found| found == byte)
}

/// Whether frames of high memory are there, so that mapping writes entries.
fn writes_entries() -> bool {
    frames::stats(Zone::High).free > 0 || cfg!(feature = "debug")
}

fn entry_of<D: local::Depth>() -> u64 {
    let index = <highmem::linux::Set as highmem::KmTypes>::NAMES.len() + D::USIZE;
    kmap::entry(kmap::slots().nth(index).expect("there are so many").1)
}

fn each_depth_has_an_entry_of_its_own(task: &mut Task<'_>) {
    assert_eq!(ExampleKernel::LOCALS, Locals::of::<ExampleKernel>());
    let (a, mut b) = (frame_of(task, 1), frame_of(task, 2));
    let mut pinned = task.pinned();
    let (mut local, _) = pinned.local();
    let (one, mut local) = kmap_local_page(&mut local, &a);
    let (mut two, _) = kmap_local_page(&mut local, &mut b);
    assert!(is_full_of(&one, 1) && is_full_of(&two, 2));
    two[0] = 3;
    if writes_entries() {
        let names: [&str; 2] = [&one.address(), &two.address()]
            .map(|address| kmap::slots().find(|(_, slot)| slot == address).expect("a slot of this CPU").0);
        assert_eq!(names, ["LocalInTask0", "LocalInTask1"]);
        for (address, pfn) in [(one.address(), one.pfn()), (two.address(), two.pfn())] {
            assert_eq!(kmap::entry(address) >> 12 & 0xff_ffff, pfn.number() as u64 & 0xff_ffff);
            assert_eq!(kmap::entry(address) & 1, 1, "present");
        }
        assert_eq!(kmap::entry(one.address()) & 2, 0, "read only");
    }
}

fn maps_may_end_in_any_order(task: &mut Task<'_>) {
    let [a, b, c] = [1, 2, 3].map(|byte| frame_of(task, byte));
    let mut other = frame();
    let mut pinned = task.pinned();
    let (mut local, _) = pinned.local();
    let (a, mut local) = kmap_local_page(&mut local, a);
    let (b, mut local) = kmap_local_page(&mut local, b);
    let (c, mut local) = kmap_local_page(&mut local, c);
    clear_highpage(local.slot(), &mut other);
    assert!(is_full_of(&a, 1));
    let (slot, a) = kunmap_local(a);
    assert!(is_full_of(&b, 2) && is_full_of(&c, 3));
    // What was mapped first has ended, and its slot has another page.
    copy_highpage(slot, &mut other, local.slot(), &a);
    let (slot, _) = kunmap_local(b);
    let other = kmap_atomic(slot, &other);
    assert!(is_full_of(&c, 3) && is_full_of(&other, 1));
    drop(c);
    assert!(is_full_of(&other, 1));
}

/// Lets the other thread run.
type OthersRun<'a> = &'a dyn Fn(&mut MaySleepHere<'_>);

/// Two threads on one CPU, which run in turn: `f` has its number, and a way to let the other run.
fn in_turn(task: &mut Task<'_>, f: fn(&mut Task<'_>, u8, OthersRun<'_>)) {
    let cpu = smp::count() - 1;
    let turns = Arc::new(AtomicUsize::new(0));
    let threads = [0, 1].map(|number: u8| {
        let turns = Arc::clone(&turns);
        thread::spawn_on(cpu, "in turn", move |task| {
            let wait = |task: &mut MaySleepHere<'_>| {
                while turns.load(SeqCst) % 2 != usize::from(number) {
                    thread::yield_now(task);
                }
            };
            wait(task);
            f(task, number, &|task| {
                turns.fetch_add(1, SeqCst);
                wait(task);
            });
            turns.fetch_add(1, SeqCst);
        })
    });
    threads.into_iter().for_each(|thread| thread.join(task));
}

fn who_runs_next_sees_no_map_of_the_last(task: &mut Task<'_>) {
    in_turn(task, |task, number, others_run| {
        let page = frame_of(task, number);
        let mut pinned = task.pinned();
        let (mut local, task) = pinned.local();
        // The other one has nothing mapped, or its page, which is remembered by the CPU if nobody has it forget that.
        assert_eq!(entry_of::<U0>() & 1, 0, "a map of the thread before is left");
        let (page, _) = kmap_local_page(&mut local, &page);
        assert!(is_full_of(&page, number), "this is the page of the other thread");
        others_run(task);
        assert!(is_full_of(&page, number), "this is the page of the other thread");
        others_run(task);
        assert!(is_full_of(&page, number), "this is the page of the other thread");
    });
}

fn maps_are_back_after_a_switch(task: &mut Task<'_>) {
    in_turn(task, |task, number, others_run| {
        let [mut a, b, c] = [10, 20, 30].map(|byte| frame_of(task, byte + number));
        let mut pinned = task.pinned();
        let (mut local, task) = pinned.local();
        let (mut a, mut local) = kmap_local_page(&mut local, &mut a);
        let (b, mut local) = kmap_local_page(&mut local, &b);
        let (c, _) = kmap_local_page(&mut local, &c);
        let addresses = [a.address(), b.address(), c.address()];
        let entries = || addresses.map(|address| if writes_entries() { kmap::entry(address) } else { 0 });
        let before = entries();
        drop(b);
        for round in 0..100 {
            others_run(task);
            assert!(is_full_of(&a, if round == 0 { 10 + number } else { number }) && is_full_of(&c, 30 + number));
            assert_eq!(
                [entries()[0], entries()[2]].map(|entry| entry | 0x60),
                [before[0], before[2]].map(|entry| entry | 0x60)
            );
            a.fill(number);
        }
    });
}

/// As many threads as there is room for, on whatever CPU, that sleep and are preempted, and what they say about the CPUs that they were on.
fn moves(task: &mut Task<'_>, f: fn(&mut Task<'_>) -> u32) -> u32 {
    let threads: [_; 9] = [(); 9].map(|()| thread::spawn("mover", f));
    threads.map(|thread| thread.join(task)).iter().sum()
}

fn a_pinned_thread_stays_on_its_cpu(task: &mut Task<'_>) {
    let moves = moves(task, |task| {
        let page = frame_of(task, 5);
        let mut pinned = task.pinned();
        let (mut local, task) = pinned.local();
        let (page, _) = kmap_local_page(&mut local, &page);
        count_moves(task, || assert!(is_full_of(&page, 5), "another page is at the address"))
    });
    assert_eq!(moves, 0, "a thread with local maps went to another CPU");
}

fn a_thread_that_is_not_pinned_moves(task: &mut Task<'_>) {
    // On a host that is busy, it may take a while.
    let moves =
        (0..20).map(|_| moves(task, |task| count_moves(task, || ()))).find(|moves| *moves > 0 || smp::count() == 1);
    assert!(moves.is_some(), "if no thread moves, that they stay says nothing");
}

fn count_moves(task: &mut MaySleepHere<'_>, look: impl Fn()) -> u32 {
    let (mut last, mut moves, mut rounds) = (cpu::number(), 0, 0);
    let end = timer::uptime() + TIME_TO_MOVE;
    while timer::uptime() < end {
        rounds += 1;
        if rounds % 50 == 0 {
            thread::sleep(task, timer::period());
        } else {
            thread::yield_now(task);
        }
        let here = cpu::number();
        moves += u32::from(here != last);
        last = here;
        look();
    }
    moves
}

static OF_THE_INTERRUPT: IrqLock<Option<[Frame; 2]>> = IrqLock::new(None);
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);

fn an_interrupt_maps_beside_the_task(task: &mut Task<'_>) {
    const { assert!(<local::LocalSlot<ExampleKernel, InIrq, U0> as KmType>::PLACE > LOCAL_LEVELS) };
    fn tick(irq: &mut HardIrq<'_>) {
        OF_THE_INTERRUPT.with(|frames| {
            let Some([a, b]) = frames else { return };
            let (mut local, _) = irq.local();
            let (mut a, mut local) = kmap_local_page(&mut local, a);
            let (mut b, _) = kmap_local_page(&mut local, b);
            a.fill(1);
            b.fill(2);
            assert!(is_full_of(&a, 1) && is_full_of(&b, 2));
            INTERRUPTS.fetch_add(1, SeqCst);
        });
    }
    OF_THE_INTERRUPT.with(|frames| *frames = Some([frame(), frame()]));
    let [a, mut b] = [7, 8].map(|byte| frame_of(task, byte));
    timer::set_handler(tick);
    {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (a, mut local) = kmap_local_page(&mut local, &a);
        let (mut b, _) = kmap_local_page(&mut local, &mut b);
        while INTERRUPTS.load(SeqCst) < 20 {
            b.fill(9);
            assert!(is_full_of(&a, 7) && is_full_of(&b, 9));
        }
    }
    timer::clear_handler();
    OF_THE_INTERRUPT.with(Option::take);
}

fn a_guard_that_was_forgotten_is_unmapped_by_the_next(task: &mut Task<'_>) {
    in_turn(task, |task, number, others_run| {
        let [a, b] = [1, 2].map(|byte| frame_of(task, byte + 10 * number));
        let mut pinned = task.pinned();
        let (mut local, task) = pinned.local();
        let (forgotten, _) = kmap_local_page(&mut local, &a);
        assert!(is_full_of(&forgotten, 1 + 10 * number));
        core::mem::forget(forgotten);
        others_run(task);
        let (b, _) = kmap_local_page(&mut local, &b);
        assert!(is_full_of(&b, 2 + 10 * number));
        others_run(task);
        assert!(is_full_of(&b, 2 + 10 * number));
    });
    let reports = kmap::take_reports();
    assert_eq!(reports.is_empty(), !cfg!(feature = "debug"));
    assert!(reports.iter().all(|report| report.contains("its guard was forgotten")), "{reports:?}");
}

fn a_thread_that_ends_pinned_leaves_nothing(task: &mut Task<'_>) {
    let cpu = smp::count() - 1;
    let forgetful = thread::spawn_on(cpu, "forgetful", |task| {
        let page = frame_of(task, 1);
        let mut pinned = task.pinned();
        core::mem::forget(kmap_local_page(&mut pinned.local().0, &page).0);
        core::mem::forget(pinned);
    });
    forgetful.join(task);
    thread::spawn_on(cpu, "next", |_| assert_eq!(entry_of::<U0>(), entry_of::<U0>() & !1)).join(task);
    // The one that has its number next does not have to stay where that was.
    let threads: [_; 9] = [(); 9].map(|()| thread::spawn_on(0, "elsewhere", |_| ()));
    let deadline = timer::uptime() + PATIENCE;
    while !threads.iter().all(thread::JoinHandle::is_finished) {
        assert!(timer::uptime() < deadline, "a thread waits for a CPU that it must not run on");
        thread::sleep(task, timer::period());
    }
    kmap::take_reports();
}

fn a_frame_can_be_mapped_uncached(task: &mut Task<'_>) {
    let page = frame_of(task, 6);
    let mut pinned = task.pinned();
    let (mut local, _) = pinned.local();
    // SAFETY: nobody else uses the frame, nor maps it otherwise meanwhile, but for the direct map, if it is of lowmem.
    let (mapped, _) = unsafe { kmap_local_pfn::<VolatileReadOnly, Uncached, _, InTask, _>(&mut local, page.pfn()) };
    assert_eq!(mapped.load::<u32>(0), Ok(0x0606_0606));
    if frames::stats(Zone::High).free > 0 {
        assert_eq!(kmap::entry(mapped.address()) & 0x1a, 0x18, "read only, uncached");
    }
}
