//! What it costs to map a page in an address space whose tables are in high memory, to unmap it and flush, and to look it up: in instructions.
//!
//! As in `kmap_atomic.rs`, under `-icount shift=0` the time-stamp counter counts instructions.

#![no_std]
#![no_main]

use core::hint::black_box;

use highmem::pagetable::Pages;
use highmem::paging::{Flags, PageSize};
use highmem::{PAGE_SIZE, Page};
use kernel::kmap::Task;
use kernel::spaces::{self, Tables};
use kernel::{frames, paging, println};

kernel::main!(costs);

const ROUNDS: usize = 1_000;

/// A page that has its page table for itself while nothing else is mapped there, and one beside it.
const AT: usize = 0x4000_0000;
const BESIDE: usize = AT + 7 * PAGE_SIZE;

fn costs(task: &mut Task<'_>) {
    let page = frames::alloc_highmem().expect("a frame of high memory").share();
    let mut space = spaces::new(task).expect("a frame for the top table");
    let [empty] = least(|| [tsc(), tsc()]);

    let costs = least(|| one(task, &mut space, page.pfn()));
    let [map_with_tables, _, unmap_with_tables] = costs.map(|cost| cost - empty);
    map(task, &mut space, BESIDE, page.pfn());
    let [map, translate, unmap] = least(|| one(task, &mut space, page.pfn())).map(|cost| cost - empty);
    let root = space.root();
    // SAFETY: freed below.
    let [_, _, unmap_in_use] = unsafe {
        spaces::with_root(task, root, |task| least(|| one(task, &mut space, page.pfn())).map(|cost| cost - empty))
    };
    print("pagetable_map", map, LIMITS[0]);
    print("pagetable_translate", translate, LIMITS[1]);
    print("pagetable_unmap", unmap, LIMITS[2]);
    print("pagetable_unmap_in_use", unmap_in_use, LIMITS[3]);
    print("pagetable_map_with_tables", map_with_tables, LIMITS[4]);
    print("pagetable_unmap_with_tables", unmap_with_tables, LIMITS[5]);
    // SAFETY: no thread uses it.
    unsafe { spaces::free(task, space) };
}

/// Without PAE, with PAE, with 64 bits.
const LIMITS: [[u64; 3]; 6] = [
    [340, 500, 540],
    [165, 330, 365],
    [1150, 1820, 1660],
    // Where each CPU has its own window, the example kernel compares the CPU's copy of the top table with the table first, entry by entry.
    if cfg!(feature = "cpu-window") { [25_700, 7_700, 8_500] } else { [1260, 1910, 1730] },
    [2150, 3450, 3600],
    [6700, 7850, 8650],
];

type Pfn = highmem::Pfn<kernel::kmap::Paging>;

#[inline(never)]
fn map(task: &mut Task<'_>, space: &mut spaces::Space, at: usize, pfn: Pfn) {
    let mut atomic = task.atomic();
    let (slots, mut source) = (atomic.slots(), Tables);
    let mut edit = space.edit(slots.pte0, slots.pte1, &mut source);
    // SAFETY: the frame stays for longer than the space.
    let flush = unsafe { edit.map(at, pfn, PageSize::Small, Flags::USER | Flags::WRITABLE) };
    edit.flush(flush.expect("nothing is mapped there"));
}

#[inline(never)]
fn unmap(task: &mut Task<'_>, space: &mut spaces::Space, at: usize) {
    let mut atomic = task.atomic();
    let (slots, mut source) = (atomic.slots(), Tables);
    let mut edit = space.edit(slots.pte0, slots.pte1, &mut source);
    let flush = edit.unmap(Pages::one(at), |gone| _ = black_box(gone));
    edit.flush(flush.expect("no table is corrupt"));
}

#[inline(never)]
fn translate(task: &mut Task<'_>, space: &spaces::Space, at: usize) {
    let _ = black_box(space.translate(task.atomic().slots().pte0, at));
}

/// A page is mapped, looked up and unmapped: the time before, between, and behind.
fn one(task: &mut Task<'_>, space: &mut spaces::Space, pfn: Pfn) -> [u64; 4] {
    let start = tsc();
    map(task, space, black_box(AT), pfn);
    let mapped = tsc();
    translate(task, space, black_box(AT));
    let found = tsc();
    unmap(task, space, black_box(AT));
    [start, mapped, found, tsc()]
}

/// What lies between the times, each the least of many rounds, since interrupts are on.
fn least<const N: usize, const M: usize>(mut times: impl FnMut() -> [u64; N]) -> [u64; M] {
    let mut least = [u64::MAX; M];
    for _ in 0..ROUNDS {
        let times = times();
        for (least, pair) in least.iter_mut().zip(times.windows(2)) {
            *least = (*least).min(pair[1] - pair[0]);
        }
    }
    least
}

fn print(name: &str, cost: u64, [non_pae, pae, long]: [u64; 3]) {
    let limit = match paging::levels() {
        2 => non_pae,
        3 => pae,
        _ => long,
    };
    println!("budget {name} measured {cost} limit {limit}");
}

#[inline(always)]
fn tsc() -> u64 {
    // SAFETY: reads a counter.
    unsafe { x86::time::rdtsc() }
}
