//! How costs grow: with the number of slots that are in use at a time, with the size of the pool, and, where there are several CPUs, with
//! their number. `cargo xtask bench` has limits for that.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "versus/measure.rs"]
mod measure;

use alloc::vec::Vec;
use core::hint::{self, black_box};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use core::sync::atomic::{AtomicU64, AtomicUsize};

use highmem::kernel::GaveUp;
use highmem::{Kernel, MaySleep, Pool, PoolKernel, Task, kmap, kmap_atomic, kmap_local_page};
use kernel::frames::{self, Frame};
use kernel::kmap::ExampleKernel;
use kernel::{paging, println, smp};
use measure::{measure, tsc};

kernel::main!(growth);

const ROUNDS: u32 = 2_000;

/// More than the largest pool has entries.
const PAGES: usize = 2048;

fn growth(task: &mut kernel::kmap::Task<'_>) {
    if smp::count() > 1 {
        on_all_cpus(task);
        return;
    }
    let page = &mut 0;
    measure("empty", ROUNDS, 1, || _ = black_box(&mut *page));
    on_all_cpus(task);
    slots(task);
    local_maps(task);
    pools();
}

fn high() -> Frame {
    frames::alloc_highmem().expect("a frame of high memory")
}

/// Binds guards that live to the end of the block.
macro_rules! map {
    ($page:ident: $($slot:expr),*) => {
        $(let _guard = kmap_atomic($slot, black_box(&$page));)*
    };
}

/// One slot of the task after the other, and then, with interrupts off, one of those after the other.
fn slots(task: &mut kernel::kmap::Task<'_>) {
    let page = high();
    macro_rules! nested {
        ($name:literal: $($slot:ident)*) => {
            measure($name, ROUNDS, 1, || {
                let mut atomic = task.atomic();
                let slots = atomic.slots();
                map!(page: $(slots.$slot),*);
            });
        };
        ($name:literal: $($slot:ident)* | $($deeper:ident)*) => {
            measure($name, ROUNDS, 1, || {
                let mut atomic = task.atomic();
                let slots = atomic.slots();
                map!(page: $(slots.$slot),*);
                let mut deeper = slots.deeper;
                let mut irqs_off = deeper.irqs_off();
                let slots = irqs_off.slots();
                map!(page: $(slots.$deeper),*);
            });
        };
    }
    nested!("slots/1": user0);
    nested!("slots/2": user0 user1);
    nested!("slots/3": user0 user1 pte0);
    nested!("slots/4": user0 user1 pte0 pte1);
    nested!("slots/5": user0 user1 pte0 pte1 skb_sunrpc_data);
    nested!("slots_irqs_off/6": user0 user1 pte0 pte1 skb_sunrpc_data | bounce_read);
    nested!("slots_irqs_off/7": user0 user1 pte0 pte1 skb_sunrpc_data | bounce_read bio_src_irq);
    nested!("slots_irqs_off/8": user0 user1 pte0 pte1 skb_sunrpc_data | bounce_read bio_src_irq bio_dst_irq);
    nested!("slots_irqs_off/9": user0 user1 pte0 pte1 skb_sunrpc_data | bounce_read bio_src_irq bio_dst_irq irq0);
    nested!("slots_irqs_off/10": user0 user1 pte0 pte1 skb_sunrpc_data | bounce_read bio_src_irq bio_dst_irq irq0 irq1);
}

/// One local map under the other.
fn local_maps(task: &mut kernel::kmap::Task<'_>) {
    let page = high();
    macro_rules! under {
        ($local:ident:) => {
            _ = &mut $local;
        };
        ($local:ident: $level:tt $($levels:tt)*) => {
            let (_guard, mut next) = kmap_local_page(&mut $local, black_box(&page));
            under!(next: $($levels)*);
        };
    }
    macro_rules! nested {
        ($name:literal: $($levels:tt)*) => {
            measure($name, ROUNDS, 1, || {
                let mut pinned = task.pinned();
                let (mut local, _) = pinned.local();
                under!(local: $($levels)*);
            });
        };
    }
    nested!("local/1": 1);
    nested!("local/2": 1 2);
    nested!("local/3": 1 2 3);
    nested!("local/4": 1 2 3 4);
    nested!("local/5": 1 2 3 4 5);
    nested!("local/6": 1 2 3 4 5 6);
    nested!("local/7": 1 2 3 4 5 6 7);
    nested!("local/8": 1 2 3 4 5 6 7 8);
}

/// The same kernel with a pool of another size. It has one CPU, and one thread that maps: nobody waits.
macro_rules! pool {
    ($number:literal, $kernel:ident, $entries:ident, $hit:literal, $remap:literal, $pages:expr) => {{
        #[derive(Debug)]
        struct $kernel;

        static POOL: Pool<{ paging::ENTRIES }> = Pool::new::<$kernel>();

        // SAFETY: as `ExampleKernel`, which does all of it, and whose window nobody uses through this one.
        unsafe impl Kernel for $kernel {
            kernel::as_the_example_kernel!();

            type KmTypes = <ExampleKernel as Kernel>::KmTypes;
            type Cpus = <ExampleKernel as Kernel>::Cpus;
            type Machine = <ExampleKernel as Kernel>::Machine;
            type Fixmap = <ExampleKernel as Kernel>::Fixmap;

            const FIXMAP_BASE: usize = ExampleKernel::FIXMAP_BASE;

            fn fixmap() -> &'static Self::Fixmap {
                ExampleKernel::fixmap()
            }

            #[inline]
            fn cpu() -> usize {
                ExampleKernel::cpu()
            }

            #[inline]
            fn no_execute() -> bool {
                ExampleKernel::no_execute()
            }
        }

        // SAFETY: the table is linked below, at addresses of no other use; there is no other CPU.
        unsafe impl PoolKernel for $kernel {
            type PoolEntries = typenum::$entries;
            type Pool = Pool<{ paging::ENTRIES }>;

            const PKMAP_BASE: usize = paging::FREE_BASE + $number * paging::TABLE_SPAN;

            #[inline]
            fn pool() -> &'static Self::Pool {
                &POOL
            }

            fn wait(_: &mut MaySleep<'_, Self>, _: &(dyn Fn() -> bool + Sync)) -> Result<(), GaveUp> {
                Err(GaveUp)
            }

            fn wake_one() {}

            fn on_other_cpus(_: &(dyn Fn() + Sync)) {}
        }

        let pages: &mut Vec<Frame> = $pages;
        // SAFETY: the table is highmem's, which answers for what its entries map; it is linked for good. I1: this thread, which is bound to the
        // first CPU, uses no slot meanwhile, and its own context is borrowed.
        unsafe {
            paging::link_table($kernel::PKMAP_BASE, (&raw const *POOL.table()).cast());
            POOL.start::<$kernel>();
            Task::<$kernel>::enter(|task| {
                measure($hit, ROUNDS, 1, || drop(kmap(task, black_box(&mut pages[0]))));
                measure($remap, 2, PAGES as u32, || pages.iter_mut().for_each(|page| drop(kmap(task, page))));
            });
        }
    }};
}

fn pools() {
    let pages = &mut (0..PAGES).map(|_| high()).collect();
    pool!(0, Kernel16, U16, "pool_hit/16", "pool_remap/16", pages);
    pool!(1, Kernel32, U32, "pool_hit/32", "pool_remap/32", pages);
    pool!(2, Kernel64, U64, "pool_hit/64", "pool_remap/64", pages);
    pool!(3, Kernel128, U128, "pool_hit/128", "pool_remap/128", pages);
    pool!(4, Kernel256, U256, "pool_hit/256", "pool_remap/256", pages);
    pool!(5, Kernel512, U512, "pool_hit/512", "pool_remap/512", pages);
    // As many entries as a page table has, and no more.
    #[cfg(all(target_arch = "x86", feature = "non-pae"))]
    pool!(6, Kernel1024, U1024, "pool_hit/1024", "pool_remap/1024", pages);
}

static WHICH: AtomicUsize = AtomicUsize::new(0);
static ARRIVED: AtomicUsize = AtomicUsize::new(0);
static LEFT: AtomicUsize = AtomicUsize::new(0);
static BEGAN: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

/// Each CPU does the same, with pages of its own; the time of all from when all are there until the last is done, for each operation. Under
/// `-icount`, that is what all CPUs executed.
fn on_all_cpus(task: &mut kernel::kmap::Task<'_>) {
    for (which, name) in ["cpus_pair", "cpus_kmap_hit", "cpus_kmap_remap"].into_iter().enumerate() {
        let cpus = smp::count();
        WHICH.store(which, Relaxed);
        ARRIVED.store(0, Relaxed);
        LEFT.store(cpus, Relaxed);
        smp::run_on_all(task, |task, _| {
            let mut own: Vec<Frame> = (0..PAGES / 2).map(|_| high()).collect();
            if ARRIVED.fetch_add(1, AcqRel) + 1 == smp::count() {
                BEGAN.store(tsc(), Relaxed);
                ARRIVED.fetch_add(1, AcqRel);
            }
            while ARRIVED.load(Acquire) <= smp::count() {
                hint::spin_loop();
            }
            for index in (0..own.len()).cycle().take(TIMES) {
                match WHICH.load(Relaxed) {
                    0 => drop(kmap_atomic(task.atomic().slots().user0, black_box(&mut own[0]))),
                    1 => drop(kmap(task, black_box(&mut own[0]))),
                    _ => drop(kmap(task, black_box(&mut own[index]))),
                }
            }
            if LEFT.fetch_sub(1, AcqRel) == 1 {
                ENDED.store(tsc(), Relaxed);
            }
        });
        let time = ENDED.load(Relaxed) - BEGAN.load(Relaxed);
        println!("total {name}/{cpus} {time} {}", cpus * TIMES);
    }
}

/// How often each CPU does it.
const TIMES: usize = 64 * PAGES;
