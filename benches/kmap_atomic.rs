//! What a pair of `kmap_atomic` and unmap costs, in instructions, and what is made of such pairs.
//!
//! Under `-icount shift=0` the time-stamp counter counts instructions, so that each figure is exact and the same in every run. The
//! loop around what is measured is measured too, and taken off.

#![no_std]
#![no_main]

use core::hint::black_box;

use core::ptr::NonNull;

use highmem::linux::{Set, User0};
use highmem::tlb::Translations;
use highmem::{Fixmap, Kernel, PageBytes, Pfn, Slot, Task, clear_highpage, copy_highpage, kmap_atomic, kunmap_atomic};
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{ExampleKernel, Paging};
use kernel::{arch, irq, paging, println};

kernel::main!(costs);

const ROUNDS: u32 = 10_000;

fn costs(task: &mut kernel::kmap::Task<'_>) {
    let one_cpu = Limits {
        with_context: [17, 25, 20],
        pair: [13, 22, 17],
        lowmem: [5, 6, 6],
        two: [38, 56, 44],
        clear: [1044, 1052, 536],
        copy: [1072, 1086, 565],
    };
    if cfg!(feature = "cpu-window") {
        println!("a kernel with several CPUs, each of which has its own window, and costs no more than a single one");
        costs_of("_with_own_window", task, one_cpu);
        return;
    }
    OneCpu::link();
    println!("a kernel with one CPU");
    // SAFETY: I1: the one thread that uses the window of `OneCpu`, which no interrupt uses; it is bound to the first CPU.
    unsafe { Task::<OneCpu>::enter(|task| costs_of("", task, one_cpu)) };
    println!("a kernel with several CPUs, which has to know on which it is");
    let several_cpus = Limits {
        with_context: [24, 34, 26],
        pair: [21, 31, 23],
        lowmem: [5, 6, 6],
        two: [46, 64, 51],
        clear: [1052, 1060, 543],
        copy: [1081, 1096, 572],
    };
    costs_of("_with_cpu_number", task, several_cpus);
}

/// What each operation may cost at most: without PAE, with PAE, with 64 bits.
struct Limits {
    with_context: [u32; 3],
    pair: [u32; 3],
    lowmem: [u32; 3],
    two: [u32; 3],
    clear: [u32; 3],
    copy: [u32; 3],
}

#[inline(never)]
fn costs_of<K: Kernel<KmTypes = Set, Paging = Paging>>(which: &str, task: &mut Task<'_, K>, limits: Limits) {
    let mut high = frames::alloc_highmem().expect("a frame of high memory");
    let mut other = frames::alloc(Zone::High).expect("a frame of high memory");
    let mut low = frames::alloc(Zone::Low).expect("a frame of lowmem");

    budget("pair_and_context", which, limits.with_context, task, |task| pair_with_context(task, &mut high));
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    budget("pair", which, limits.pair, &mut slots.user0, |slot| pair(slot, &mut high));
    budget("pair_by_hand", which, limits.pair, &mut slots.user0, |slot| pair_by_hand(slot, &mut high));
    budget("pair_read_only", which, limits.pair, &mut slots.user0, |slot| pair_read_only(slot, &high));
    budget("pair_on_lowmem", which, limits.lowmem, &mut slots.user0, |slot| pair(slot, &mut low));
    // Each step of a string instruction counts as an instruction: a page has 1024 words, or 512 of 64 bits.
    budget("clear_highpage", which, limits.clear, &mut slots.user0, |slot| {
        clear_highpage(slot.reborrow(), black_box(&mut high));
    });
    let mut two_slots = (slots.user0, slots.user1);
    budget("copy_highpage", which, limits.copy, &mut two_slots, |(user0, user1)| {
        copy_highpage(user1.reborrow(), black_box(&mut other), user0.reborrow(), &*black_box(&mut high));
    });
    budget("two_nested_slots", which, limits.two, &mut two_slots, |(user0, user1)| {
        let _source = kmap_atomic(user0.reborrow(), &*black_box(&mut high));
        let _target = kmap_atomic(user1.reborrow(), black_box(&mut other));
    });
}

#[inline(always)]
fn pair<K: Kernel<KmTypes = Set, Paging = Paging>>(slot: &mut Slot<'_, K, User0>, page: &mut Frame) {
    drop(kmap_atomic(slot.reborrow(), black_box(page)));
}

#[inline(always)]
fn pair_read_only<K: Kernel<KmTypes = Set, Paging = Paging>>(slot: &mut Slot<'_, K, User0>, page: &Frame) {
    drop(kmap_atomic(slot.reborrow(), black_box(page)));
}

#[inline(always)]
fn pair_by_hand<K: Kernel<KmTypes = Set, Paging = Paging>>(slot: &mut Slot<'_, K, User0>, page: &mut Frame) {
    let _ = kunmap_atomic(kmap_atomic(slot.reborrow(), black_box(page)));
}

#[inline(always)]
fn pair_with_context<K: Kernel<KmTypes = Set, Paging = Paging>>(task: &mut Task<'_, K>, page: &mut Frame) {
    drop(kmap_atomic(task.atomic().slots().user0, black_box(page)));
}

/// The same kernel, if it had only one CPU: with a window of its own.
struct OneCpu;

static FIXMAP: Fixmap<1> = Fixmap::new::<OneCpu>();

impl OneCpu {
    fn link() {
        // SAFETY: a table of highmem's, which answers for what its entries map.
        unsafe { paging::link_table(Self::FIXMAP_BASE, (&raw const FIXMAP.tables()[0]).cast()) };
    }
}

// SAFETY: as `ExampleKernel`, on whose first CPU this runs, with a window of its own.
unsafe impl Kernel for OneCpu {
    type Paging = Paging;
    type KmTypes = Set;
    type Cpus = typenum::U1;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;

    const FIXMAP_BASE: usize = arch::LAPIC_BASE - paging::TABLE_SPAN;
    const TRANSLATIONS: Translations = ExampleKernel::TRANSLATIONS;

    #[inline]
    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }

    #[inline]
    fn cpu() -> usize {
        0
    }

    #[inline]
    fn preempt_disable() {
        ExampleKernel::preempt_disable();
    }

    #[inline]
    unsafe fn preempt_enable() {
        // SAFETY: I2: the caller's promise.
        unsafe { ExampleKernel::preempt_enable() }
    }

    fn irq_save() -> bool {
        ExampleKernel::irq_save()
    }

    unsafe fn irq_restore(were_on: bool) {
        // SAFETY: I1: the caller's promise.
        unsafe { ExampleKernel::irq_restore(were_on) }
    }

    #[inline]
    fn no_execute() -> bool {
        ExampleKernel::no_execute()
    }

    #[inline]
    fn direct_map(pfn: Pfn<Paging>) -> Option<NonNull<PageBytes>> {
        ExampleKernel::direct_map(pfn)
    }
}

/// Measures `operation` and prints it beside what it may cost at most: without PAE, with PAE, with 64 bits.
fn budget<T>(name: &str, which: &str, limits: [u32; 3], with: &mut T, mut operation: impl FnMut(&mut T)) {
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
    println!("budget {name}{which} measured {cost} limit {limit}");
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
