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
use kernel::{irq, println};

kernel::main!(costs);

const ROUNDS: u64 = 10_000;

fn costs(task: &mut Task<'_>) {
    let mut high = frames::alloc(Zone::Above4G).or_else(|| frames::alloc(Zone::High)).expect("a frame of high memory");
    let mut other = frames::alloc(Zone::High).expect("a frame of high memory");
    let mut low = frames::alloc(Zone::Low).expect("a frame of lowmem");

    budget("pair_with_context", 30, task, |task| pair_with_context(task, &mut high));
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    budget("pair", 25, &mut slots.user0, |slot| pair(slot, &mut high));
    budget("pair_by_hand", 25, &mut slots.user0, |slot| pair_by_hand(slot, &mut high));
    budget("pair_read_only", 25, &mut slots.user0, |slot| pair_read_only(slot, &high));
    budget("pair_on_lowmem", 6, &mut slots.user0, |slot| pair(slot, &mut low));
    budget("two_nested_slots", 50, &mut (slots.user0, slots.user1), |(user0, user1)| {
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

/// Measures `operation` and prints it beside what it may cost at most.
#[inline(always)]
fn budget<T>(name: &str, limit: u64, with: &mut T, mut operation: impl FnMut(&mut T)) {
    let page = &mut 0u32;
    let cost = irq::with_disabled(|| {
        let empty = instructions(|| {
            black_box(&mut *page);
        });
        instructions(|| operation(with)) - empty
    });
    assert_eq!(cost % ROUNDS, 0, "{name}: a round does not cost the same each time; is this run with --icount?");
    println!("budget {name} measured {} limit {limit}", cost / ROUNDS);
}

/// The instructions that it takes to call `f` so many times.
#[inline(always)]
fn instructions(mut f: impl FnMut()) -> u64 {
    let start = tsc();
    for _ in 0..ROUNDS {
        f();
    }
    tsc() - start
}

#[inline(always)]
fn tsc() -> u64 {
    // SAFETY: reads a counter.
    unsafe { x86::time::rdtsc() }
}
