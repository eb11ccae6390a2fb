//! An entry of the pool that gets another page shows it on all CPUs. Each CPU reads through all entries, so that it remembers where they
//! lead; then each entry gets another page, and while that is mapped, all CPUs look. A flush that leaves out one CPU, or comes too late, shows
//! the page before.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use highmem::pool::stats;
use highmem::{PAGE_SIZE, PoolKernel, kmap, kmap_atomic};
use kernel::frames::{self, Frame};
use kernel::kmap::{ExampleKernel, MaySleep, Task};
use kernel::{cpu, ipi, println, probe, smp, thread};

kernel::main!(kmap_shootdown);

/// How often all entries get another page.
const WRAPS: usize = 6;

/// What one CPU counts.
struct Counts {
    /// Entries that it remembered a page of, when they were taken back.
    remembered: AtomicU64,
    /// Looks at entries that had just got another page, and those that showed anything else.
    looks: AtomicU64,
    stale: AtomicU64,
}

static COUNTS: [Counts; cpu::MAX] =
    [const { Counts { remembered: AtomicU64::new(0), looks: AtomicU64::new(0), stale: AtomicU64::new(0) } }; _];

/// It calls the other CPUs, and so stays on one.
fn kmap_shootdown(task: &mut Task<'_>) {
    thread::spawn_on(0, "shootdown", shootdown).join(task);
}

fn shootdown(task: &mut Task<'_>) {
    let entries = stats::<ExampleKernel>().entries;
    // One more than there are entries: each wrap begins with another page, and so each page comes to another entry.
    let mut pages: Vec<Frame> =
        (0..=entries).map(|_| frames::alloc_highmem().expect("a frame of high memory")).collect();
    for (number, page) in pages.iter_mut().enumerate() {
        kmap_atomic(task.atomic().slots().user0, page)[..4].copy_from_slice(&(number as u32).to_le_bytes());
    }
    println!("CPUs: {}, entries: {entries}, pages: {}", smp::count(), pages.len());

    let before = stats::<ExampleKernel>();
    let (mut reuses, mut own_calls) = (0, 0);
    let answers = ipi::answers();
    let mut numbers = (0..pages.len()).cycle();
    for wrap in 0..=WRAPS {
        for number in numbers.by_ref().take(entries) {
            let (guard, task) = kmap(task, &pages[number]).expect("no wait is interrupted");
            let address = guard.address();
            // The first time, all entries are new.
            if wrap > 0 {
                reuses += 1;
                own_calls += 1;
                on_all_cpus(task, &|counts| {
                    counts.looks.fetch_add(1, Relaxed);
                    if number_at(address) != Some(number) {
                        counts.stale.fetch_add(1, Relaxed);
                    }
                });
            }
        }
        if wrap < WRAPS {
            own_calls += 1;
            on_all_cpus(task, &|counts| {
                let all = (0..entries).map(|entry| ExampleKernel::PKMAP_BASE + entry * PAGE_SIZE);
                let seen = all.filter(|&address| number_at(address).is_some()).count();
                counts.remembered.fetch_add(seen as u64, Relaxed);
            });
        }
    }
    let after = stats::<ExampleKernel>();
    let others = smp::count() as u64 - 1;
    let calls = ipi::answers() - answers - own_calls * others;

    println!("CPU  remembered    looks    stale");
    let mut stale = 0;
    for (cpu, counts) in COUNTS[..smp::count()].iter().enumerate() {
        let [remembered, looks, old] =
            [&counts.remembered, &counts.looks, &counts.stale].map(|count| count.load(Relaxed));
        println!("{cpu:3} {remembered:11} {looks:8} {old:8}");
        assert_eq!((remembered, looks), ((WRAPS * entries) as u64, reuses), "CPU {cpu} has not seen all");
        stale += old;
    }
    let flushes = after.flushes - before.flushes;
    println!("{after}");
    println!(
        "{reuses} reuses, {flushes} flushes of all CPUs, {calls} calls to other CPUs for them: {stale} stale looks"
    );
    assert_eq!(stale, 0, "a CPU saw the page that was mapped before");
    assert_eq!(after.remaps - before.remaps, reuses + entries as u64, "each page was mapped anew");
    assert_eq!(flushes, WRAPS as u64, "one flush for all entries at once");
    assert_eq!(calls, flushes * others, "each flush calls each other CPU once");
}

/// Runs `f` once on every CPU, with its own counts.
fn on_all_cpus(task: &mut MaySleep<'_>, f: &(dyn Fn(&Counts) + Sync)) {
    ipi::call_on_others_with(task, &|_| f(&COUNTS[cpu::number()]));
    f(&COUNTS[cpu::number()]);
}

/// The number in the page at this address, as this CPU sees it; `None` if it sees none.
fn number_at(address: usize) -> Option<usize> {
    let mut word = [0; 4];
    for (offset, byte) in word.iter_mut().enumerate() {
        *byte = probe::read_u8(address + offset).ok()?;
    }
    Some(u32::from_le_bytes(word) as usize)
}
