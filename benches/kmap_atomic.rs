//! What a pair of `kmap_atomic` and unmap costs, in instructions.
//!
//! Under `-icount shift=0` the time-stamp counter counts instructions, so that each figure is exact and the same in every run. The
//! loop around what is measured is measured too, and taken off.

#![no_std]
#![no_main]

use core::hint::black_box;

use highmem::linux::User0;
use highmem::{kmap_atomic, kunmap_atomic};
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{Slot, Task};
use kernel::{irq, paging, println};

kernel::main!(costs);

const ROUNDS: u32 = 10_000;

fn costs(task: &mut Task<'_>) {
    let mut high = frames::alloc_highmem().expect("a frame of high memory");
    let mut other = frames::alloc(Zone::High).expect("a frame of high memory");
    let mut low = frames::alloc(Zone::Low).expect("a frame of lowmem");

    budget("pair_with_context", [23, 34, 28], task, |task| pair_with_context(task, &mut high));
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    budget("pair", [21, 32, 26], &mut slots.user0, |slot| pair(slot, &mut high));
    budget("pair_by_hand", [21, 32, 26], &mut slots.user0, |slot| pair_by_hand(slot, &mut high));
    budget("pair_read_only", [21, 32, 26], &mut slots.user0, |slot| pair_read_only(slot, &high));
    budget("pair_on_lowmem", [5, 6, 6], &mut slots.user0, |slot| pair(slot, &mut low));
    budget("two_nested_slots", [46, 68, 55], &mut (slots.user0, slots.user1), |(user0, user1)| {
        let _source = kmap_atomic(user0.reborrow(), &*black_box(&mut high));
        let _target = kmap_atomic(user1.reborrow(), black_box(&mut other));
    });
}

#[inline(always)]
fn pair(slot: &mut Slot<'_, User0>, page: &mut Frame) {
    drop(kmap_atomic(slot.reborrow(), black_box(page)));
}

#[inline(always)]
fn pair_read_only(slot: &mut Slot<'_, User0>, page: &Frame) {
    drop(kmap_atomic(slot.reborrow(), black_box(page)));
}

#[inline(always)]
fn pair_by_hand(slot: &mut Slot<'_, User0>, page: &mut Frame) {
    let _ = kunmap_atomic(kmap_atomic(slot.reborrow(), black_box(page)));
}

#[inline(always)]
fn pair_with_context(task: &mut Task<'_>, page: &mut Frame) {
    drop(kmap_atomic(task.atomic().slots().user0, black_box(page)));
}

/// Measures `operation` and prints it beside what it may cost at most: without PAE, with PAE, with 64 bits.
fn budget<T>(name: &str, limits: [u32; 3], with: &mut T, mut operation: impl FnMut(&mut T)) {
    let page = &mut 0;
    let cost = irq::with_disabled(|| {
        let empty = cost_of(|| {
            black_box(&mut *page);
        });
        cost_of(|| operation(with)) - empty
    });
    let [non_pae, pae, long] = limits;
    let limit = match paging::levels() {
        2 => non_pae,
        3 => pae,
        _ => long,
    };
    println!("budget {name} measured {cost} limit {limit}");
}

/// What one call of `f` costs, with the loop around it.
fn cost_of(mut f: impl FnMut()) -> u32 {
    // The difference of two runs of one loop: what comes before and after the loop does not count.
    let [short, long] = [ROUNDS, 2 * ROUNDS].map(|rounds| instructions(rounds, &mut f));
    let cost = long - short;
    assert_eq!(cost % ROUNDS, 0, "a round does not cost the same each time: run this with --icount");
    cost / ROUNDS
}

/// The instructions of so many calls of `f`. Never inlined, so that each run is the same code.
#[inline(never)]
fn instructions(mut rounds: u32, f: &mut impl FnMut()) -> u32 {
    let start = tsc();
    while rounds > 0 {
        f();
        rounds = black_box(rounds - 1);
    }
    (tsc() - start) as u32
}

#[inline(always)]
fn tsc() -> u64 {
    // SAFETY: reads a counter.
    unsafe { x86::time::rdtsc() }
}
