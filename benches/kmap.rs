//! What `kmap` and the end of its guard cost, in instructions: for a page that is mapped already, and for one that is not.
//!
//! As in `kmap_atomic.rs`, under `-icount shift=0` the time-stamp counter counts instructions.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::hint::black_box;

use highmem::kmap as map;
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{ExampleKernel, Task};
use kernel::{paging, println};

kernel::main!(costs);

const ROUNDS: u32 = 10_000;

/// As many different pages as Linux was measured with, that is, more than there are entries.
const PAGES: usize = 2048;

fn costs(task: &mut Task<'_>) {
    let mut page = high();
    budget("kmap_hit", [60, 60, 60], || drop(map(task, black_box(&mut page))));
    let mut low = frames::alloc(Zone::Low).expect("a frame of lowmem");
    budget("kmap_lowmem", [14, 14, 14], || drop(map(task, black_box(&mut low))));

    let mut pages: Vec<Frame> = (0..PAGES).map(|_| high()).collect();
    let round = |task: &mut Task<'_>, pages: &mut Vec<Frame>| pages.iter_mut().for_each(|page| drop(map(task, page)));
    round(task, &mut pages);
    let before = highmem::pool::stats::<ExampleKernel>();
    let start = tsc();
    round(task, &mut pages);
    let cost = ((tsc() - start) as usize).div_ceil(PAGES);
    let after = highmem::pool::stats::<ExampleKernel>();
    print("kmap_remap", cost, [150, 150, 150]);
    let (remaps, flushes) = (after.remaps - before.remaps, after.flushes - before.flushes);
    println!("{remaps} pages remapped, {flushes} flushes of all CPUs, {} entries", after.entries);
    assert_eq!(remaps, PAGES as u64, "each page was mapped anew");
    assert!(flushes * after.entries as u64 <= remaps, "more than one flush for a pool's worth of pages");
    println!("{after}");
}

fn high() -> Frame {
    frames::alloc_highmem().expect("a frame of high memory")
}

/// Measures `operation` and prints it beside what it may cost at most: without PAE, with PAE, with 64 bits.
fn budget(name: &str, limits: [usize; 3], operation: impl FnMut()) {
    let page = &mut 0;
    let empty = best(|| {
        black_box(&mut *page);
    });
    print(name, best(operation) - empty, limits);
}

fn print(name: &str, cost: usize, [non_pae, pae, long]: [usize; 3]) {
    let limit = match paging::levels() {
        2 => non_pae,
        3 => pae,
        _ => long,
    };
    println!("budget {name} measured {cost} limit {limit}");
}

/// What one call of `f` costs, with the loop around it: the least of several runs, since interrupts are on.
fn best(mut f: impl FnMut()) -> usize {
    (0..5).map(|_| instructions(&mut f) / ROUNDS as usize).min().unwrap_or_default()
}

#[inline(never)]
fn instructions(f: &mut impl FnMut()) -> usize {
    let start = tsc();
    let mut rounds = ROUNDS;
    while rounds > 0 {
        f();
        rounds = black_box(rounds - 1);
    }
    (tsc() - start) as usize
}

#[inline(always)]
fn tsc() -> u64 {
    // SAFETY: reads a counter.
    unsafe { x86::time::rdtsc() }
}
