//! Threads hold one to eight nested local maps while they are preempted a million times, and interrupts map above them. After every switch
//! each looks at every byte of every page that it has mapped.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::cell::Cell;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU32, AtomicU64};
use core::time::Duration;

use highmem::local::Depth;
use highmem::typenum::{U0, U1, U2, U3, U4, U5, U6, U7, U8, Unsigned};
use highmem::{PAGE_SIZE, kmap_local_page};
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{self, HardIrq, LOCAL_LEVELS, Local, MaySleepHere, Task};
use kernel::sync::IrqLock;
use kernel::{cpu, println, report, smp, thread, timer};

kernel::main!(local_switch);

/// Switches in all.
const WANTED: u64 = 1_000_000;

/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// Threads, so that each CPU has others to switch to.
const THREADS: u32 = 12;

/// How often a thread is switched out with the same maps, before it ends them and may go to another CPU.
const HELD: u32 = 100;

/// Interrupts a second on the first CPU, and the clocks between two on the others.
const RATE: u32 = 2_000;
const CLOCKS: u32 = 500_000;

/// Words of a page.
const WORDS: usize = PAGE_SIZE / size_of::<u32>();

/// Looks at a page, words that were wrong, threads that went on on another CPU between two holds.
static LOOKS: AtomicU64 = AtomicU64::new(0);
static MISMATCHES: AtomicU64 = AtomicU64::new(0);
static MOVES: AtomicU64 = AtomicU64::new(0);

/// How often a thread held so many maps.
static HOLDS: [AtomicU32; LOCAL_LEVELS] = [const { AtomicU32::new(0) }; _];

/// Pairs of maps that interrupts have made, and the two frames of each CPU for them.
static INTERRUPTS: AtomicU64 = AtomicU64::new(0);
static OF_INTERRUPTS: [IrqLock<Option<[Frame; 2]>>; cpu::MAX] = [const { IrqLock::new(None) }; _];

fn frame() -> Frame {
    frames::alloc_highmem().or_else(|| frames::alloc(Zone::Low)).expect("a frame is free")
}

fn local_switch(task: &mut Task<'_>) {
    report::left_out();
    for frames in &OF_INTERRUPTS {
        frames.with(|frames| *frames = Some([frame(), frame()]));
    }
    timer::set_handler(tick);
    timer::set_rate(RATE);
    smp::run_on_all(task, |_, _| timer::start_local(CLOCKS));

    let (first, began) = (thread::switches(), timer::uptime());
    let end = first + WANTED;
    let threads: Vec<_> =
        (0..THREADS).map(|number| thread::spawn("holder", move |task| hold_until(task, number, end))).collect();
    threads.into_iter().for_each(|thread| thread.join(task));
    let (switches, time) = (thread::switches() - first, timer::uptime() - began);

    smp::run_on_all(task, |_, _| timer::stop_local());
    timer::set_rate(timer::DEFAULT_RATE);
    timer::clear_handler();
    let [looks, interrupts, moves, mismatches] =
        [&LOOKS, &INTERRUPTS, &MOVES, &MISMATCHES].map(|count| count.load(Relaxed));
    println!("{} CPUs, {THREADS} threads, 1 to {LOCAL_LEVELS} local maps each", smp::count());
    for (depth, holds) in HOLDS.iter().enumerate() {
        println!("  {} maps held {} times", depth + 1, holds.load(Relaxed));
        assert!(holds.load(Relaxed) > 0, "nobody held {} maps", depth + 1);
    }
    println!("{looks} pages compared, {interrupts} interrupts mapped above them, {moves} times on to another CPU");
    println!("{switches} switches in {} s, {mismatches} mismatches", time.as_secs());
    assert_eq!(mismatches, 0, "somebody saw what is not his");
    assert!(switches >= WANTED && interrupts > 100);
    assert!(smp::count() == 1 || moves > 0, "no thread ever moved: that they stay while they hold maps says nothing");
    let reports = kmap::take_reports();
    assert!(reports.is_empty(), "{reports:?}");
}

/// What each thread does.
fn hold_until(task: &mut Task<'_>, number: u32, end: u64) {
    let deadline = timer::uptime() + PATIENCE;
    let mut frames: Vec<_> = (0..LOCAL_LEVELS).map(|_| frame()).collect();
    let (mut random, mut last) = (number + 1, None);
    while thread::switches() < end {
        assert!(timer::uptime() < deadline, "a million switches take too long");
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let depth = 1 + (random >> 16) as usize % LOCAL_LEVELS;
        HOLDS[depth - 1].fetch_add(1, Relaxed);

        let mut pinned = task.pinned();
        let here = cpu::number();
        if last.replace(here).is_some_and(|last| last != here) {
            MOVES.fetch_add(1, Relaxed);
        }
        let (local, sleeps) = pinned.local();
        U0::nest(local, sleeps, &mut frames[..depth], number, None);
        assert_eq!(cpu::number(), here, "a thread with local maps went to another CPU");
        drop(pinned);
        thread::yield_now(task);
    }
}

/// A page that is mapped, and those above it.
#[derive(Clone, Copy)]
struct Live<'a> {
    words: &'a [Cell<u32>],
    /// Its first word; the others count on.
    stamp: u32,
    above: Option<&'a Live<'a>>,
}

impl Live<'_> {
    /// Looks at each word, and writes all anew every now and then.
    fn look(&self, anew: Option<u32>) {
        let wrong = self.words.iter().zip(self.stamp..).filter(|(word, expected)| word.get() != *expected).count();
        LOOKS.fetch_add(1, Relaxed);
        if wrong > 0 {
            MISMATCHES.fetch_add(wrong as u64, Relaxed);
        }
        if anew.is_some() {
            self.words.iter().zip(self.stamp..).for_each(|(word, value)| word.set(value));
        }
        if let Some(above) = self.above {
            above.look(anew);
        }
    }
}

/// A depth at which a thread can hold the rest of its pages.
trait Nest: Depth {
    fn nest(
        local: Local<'_, Self>,
        task: &mut MaySleepHere<'_>,
        frames: &mut [Frame],
        number: u32,
        above: Option<&Live<'_>>,
    );
}

macro_rules! nest {
    ($($depth:ident)* | $last:ident) => {
        $(impl Nest for $depth {
            fn nest(
                mut local: Local<'_, Self>,
                task: &mut MaySleepHere<'_>,
                frames: &mut [Frame],
                number: u32,
                above: Option<&Live<'_>>,
            ) {
                let Some((frame, rest)) = frames.split_first_mut() else { return hold(task, above) };
                let (mut page, local) = kmap_local_page(&mut local, frame);
                let words: &mut [u32] = page.view_slice_mut(0, WORDS).expect("a page has so many words");
                let words = Cell::from_mut(words).as_slice_of_cells();
                let stamp = (number << 8 | <$depth as Unsigned>::U32) << 16;
                words.iter().zip(stamp..).for_each(|(word, value)| word.set(value));
                Nest::nest(local, task, rest, number, Some(&Live { words, stamp, above }));
            }
        })*

        impl Nest for $last {
            fn nest(_: Local<'_, Self>, task: &mut MaySleepHere<'_>, _: &mut [Frame], _: u32, above: Option<&Live<'_>>) {
                hold(task, above);
            }
        }
    };
}

nest!(U0 U1 U2 U3 U4 U5 U6 U7 | U8);

/// Is switched out again and again, by its own wish and by the timer's, and looks at all pages each time.
fn hold(task: &mut MaySleepHere<'_>, pages: Option<&Live<'_>>) {
    let Some(pages) = pages else { return };
    for round in 0..HELD {
        thread::yield_now(task);
        pages.look(round.is_multiple_of(8).then_some(round));
    }
}

/// Maps two pages above those of the thread that is interrupted.
fn tick(irq: &mut HardIrq<'_>) {
    OF_INTERRUPTS[cpu::number()].with(|frames| {
        let Some([one, other]) = frames else { return };
        let number = INTERRUPTS.fetch_add(1, Relaxed) as u8;
        let (mut local, _) = irq.local();
        let (mut one, mut local) = kmap_local_page(&mut local, one);
        let (mut other, _) = kmap_local_page(&mut local, other);
        one.fill(number);
        other.fill(!number);
        let wrong = |page: &[u8], byte| page.iter().filter(|&&found| found != byte).count();
        let wrong = wrong(&one[..], number) + wrong(&other[..], !number);
        MISMATCHES.fetch_add(wrong as u64, Relaxed);
    });
}
