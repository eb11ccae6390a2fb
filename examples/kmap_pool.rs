//! A pool of 16 entries, and ten threads that want forty at once: they sleep, are woken in the order in which they came, and map one, two or
//! four pages at a time. Each byte is looked at through the same address on other CPUs than the one that mapped the page.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use highmem::pool::stats;
use highmem::{PAGE_SIZE, PageBytes, kmap, kmap_all, kmap_pair};
use kernel::frames::{self, Frame};
use kernel::kmap::{ExampleKernel, MaySleep, Task};
use kernel::{cpu, ipi, println, smp, thread, timer};

kernel::main!(kmap_pool);

const THREADS: usize = 10;

/// Pages of each thread.
const PAGES: usize = 4;

/// How often they wait for entries, all together.
const WANTED: u64 = 800;

/// Ticks a second on the first CPU, and the clocks between two on the others: a thread is preempted often.
const RATE: u32 = 1_000;
const CLOCKS: u32 = 1_000_000;

/// Nobody waits longer than that for what all others use for a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often entries were got, and pages that showed something else than they should.
static TOTAL: AtomicU64 = AtomicU64::new(0);
static MISMATCHES: AtomicU64 = AtomicU64::new(0);

/// What one thread counts.
#[derive(Default)]
struct Counts {
    /// How often it got what it wanted, and in how many pages.
    rounds: u64,
    pages: u64,
    /// Waits of a millisecond and more, and the longest.
    waits: u64,
    longest: Duration,
    /// How often it found itself on another CPU under its guards.
    moves: u64,
    /// Looks of other CPUs at its pages.
    looks: u64,
}

fn kmap_pool(task: &mut Task<'_>) {
    let entries = stats::<ExampleKernel>().entries;
    println!("CPUs: {}, entries: {entries}, threads: {THREADS}, pages of each: {PAGES}", smp::count());
    assert!(entries < THREADS * PAGES, "there is enough for all");

    timer::set_rate(RATE);
    smp::run_on_all(task, |_, _| timer::start_local(CLOCKS));
    let threads: Vec<_> = (0..THREADS).map(|own| thread::spawn("mapper", move |task| mapper(task, own))).collect();
    let counts: Vec<Counts> = threads.into_iter().map(|thread| thread.join(task)).collect();
    smp::run_on_all(task, |_, _| timer::stop_local());
    timer::set_rate(timer::DEFAULT_RATE);

    println!("thread   rounds    pages  waits  longest  moves  looks of other CPUs");
    for (own, counts) in counts.iter().enumerate() {
        let Counts { rounds, pages, waits, longest, moves, looks } = counts;
        println!("{own:6} {rounds:8} {pages:8} {waits:6} {:5} ms {moves:6} {looks:20}", longest.as_millis());
    }
    let after = stats::<ExampleKernel>();
    println!("{after}");
    let mismatches = MISMATCHES.load(Relaxed);
    println!("{} pages mapped, {mismatches} mismatches", counts.iter().map(|counts| counts.pages).sum::<u64>());

    assert_eq!(mismatches, 0, "somebody saw what is not his");
    assert!(after.sleeps > 0 && after.in_use == 0, "nobody had to sleep, or somebody has left a mapping behind");
    let fair = TOTAL.load(Relaxed) / THREADS as u64;
    for (own, counts) in counts.iter().enumerate() {
        assert!(counts.rounds >= fair / 4, "thread {own} starves: {} rounds, and {fair} are its share", counts.rounds);
        assert!(counts.longest < PATIENCE, "thread {own} has waited for {:?}", counts.longest);
        assert!(counts.looks > 0 || smp::count() == 1, "no other CPU has looked at a page of thread {own}");
    }
}

/// Maps one page, two, or all four, until there have been enough mappings.
fn mapper(task: &mut Task<'_>, own: usize) -> Counts {
    let mut counts = Counts::default();
    let mut pages: [Frame; PAGES] = core::array::from_fn(|_| frames::alloc_highmem().expect("a frame of high memory"));
    // What each page says.
    let mut stamps = [0; PAGES];
    let (mut guards, _) = kmap_all(task, pages.each_mut()).expect("no wait is interrupted");
    guards.iter_mut().zip(&mut stamps).for_each(|(guard, said)| write(guard, own << 24, said));
    drop(guards);
    while TOTAL.fetch_add(1, Relaxed) < WANTED {
        counts.rounds += 1;
        let stamp = own << 24 | counts.rounds as usize & 0xff_ffff;
        let since = timer::uptime();
        match (counts.rounds as usize + own) % 3 {
            0 => {
                let (mut guards, task) = kmap_all(task, pages.each_mut()).expect("no wait is interrupted");
                counts.waited(since);
                counts.look(task, guards.each_ref().map(|guard| &**guard), stamps);
                write(&mut guards[own % PAGES], stamp, &mut stamps[own % PAGES]);
                counts.look(task, guards.each_ref().map(|guard| &**guard), stamps);
            }
            1 => {
                // One to read and one to write.
                let [source, target, ..] = &mut pages;
                let (source, mut target, task) = kmap_pair(task, &*source, target).expect("no wait is interrupted");
                counts.waited(since);
                counts.look(task, [&source, &target], [stamps[0], stamps[1]]);
                target.copy_from_slice(&*source);
                stamps[1] = stamps[0];
                counts.look(task, [&source, &target], [stamps[0], stamps[1]]);
            }
            _ => {
                let at = counts.rounds as usize / 3 % PAGES;
                let (mut guard, task) = kmap(task, &mut pages[at]).expect("no wait is interrupted");
                counts.waited(since);
                counts.look(task, [&guard], [stamps[at]]);
                write(&mut guard, stamp, &mut stamps[at]);
                counts.look(task, [&guard], [stamps[at]]);
            }
        }
    }
    counts
}

impl Counts {
    /// Counts a wait that has just ended.
    fn waited(&mut self, since: Duration) {
        let time = timer::uptime() - since;
        self.waits += u64::from(time >= Duration::from_millis(1));
        self.longest = self.longest.max(time);
    }

    /// Looks at pages that are mapped: here, by now and then on all other CPUs, and again when others have run.
    fn look<const COUNT: usize>(
        &mut self,
        task: &mut MaySleep<'_>,
        pages: [&PageBytes; COUNT],
        stamps: [usize; COUNT],
    ) {
        let look = || pages.iter().zip(stamps).for_each(|(page, stamp)| check(page, stamp));
        let here = cpu::number();
        look();
        if self.rounds.is_multiple_of(4) {
            let looks = AtomicU64::new(0);
            ipi::call_on_others_with(task, &|_| {
                look();
                looks.fetch_add(COUNT as u64, Relaxed);
            });
            self.looks += looks.into_inner();
        }
        thread::yield_now(task);
        look();
        self.pages += COUNT as u64;
        self.moves += u64::from(cpu::number() != here);
    }
}

/// Fills a page with a stamp.
fn write(page: &mut PageBytes, stamp: usize, said: &mut usize) {
    for (at, word) in page.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *word = word_of(stamp, at);
    }
    *said = stamp;
}

/// Counts a mismatch if a byte is not what was written.
fn check(page: &PageBytes, stamp: usize) {
    let words = page.as_chunks::<4>().0;
    let right = words.iter().enumerate().all(|(at, word)| *word == word_of(stamp, at));
    if !right || words.len() * 4 != PAGE_SIZE {
        MISMATCHES.fetch_add(1, Relaxed);
    }
}

/// What stands at a place of a page with a stamp: no two words are the same.
fn word_of(stamp: usize, at: usize) -> [u8; 4] {
    (stamp as u32).wrapping_mul(0x9e37_79b9).wrapping_add(at as u32).to_le_bytes()
}
