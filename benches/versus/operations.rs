//! The operations. Names that begin with `ours/` are this crate's; with `hand/`, they are written by hand.

use alloc::vec::Vec;
use core::hint::{self, black_box};
use core::num::NonZero;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use core::sync::atomic::{AtomicU64, AtomicUsize};

use highmem::copy::CopyBy;
use highmem::lazy::flush_lazy;
use highmem::ops::memcpy_run;
use highmem::pagetable::Pages;
use highmem::paging::{Flags, PageSize};
use highmem::{
    FrameRun, Kernel, PAGE_SIZE, Page, Pfn, clear_highpage, copy_highpage, kmap, kmap_atomic, kmap_batch,
    kmap_local_page,
};
use kernel::frames::{self, Frame, SharedFrame, Zone};
use kernel::kmap::{self, ExampleKernel, HardIrq, Paging, Task};
use kernel::spaces::{self, Tables};
use kernel::sync::IrqLock;
use kernel::{println, smp, timer};

use crate::hand;
use crate::keeping::enter;
use crate::measure::{measure, tsc};

const ROUNDS: u32 = 10_000;

/// As many pages as Linux is measured with: more than there are entries in a pool.
const PAGES: usize = 2048;

/// Pages in a run of 1 MiB.
const RUN: usize = (1 << 20) / PAGE_SIZE;

/// A user address, whose entry is looked up.
const AT: usize = 0x4000_0000;

pub fn all(task: &mut Task<'_>) {
    if smp::count() > 1 {
        on_all_cpus(task, "ours/kmap_remap_on_4_cpus", REMAP);
        on_all_cpus(task, "ours/kmap_hit_on_4_cpus", HIT);
        return;
    }
    hand::init();
    let page = &mut 0;
    measure("empty", ROUNDS, 1, || _ = black_box(&mut *page));
    pairs(task);
    by_hand();
    kept();
    batches();
    pages(task);
    walk(task);
    pool(task);
    in_interrupt(task);
}

fn high() -> Frame {
    frames::alloc_highmem().expect("a frame of high memory")
}

/// Maps and their ends, with nothing or one read between them.
fn pairs(task: &mut Task<'_>) {
    let mut low = frames::alloc(Zone::Low).expect("a frame of lowmem");
    let (mut page, mut other, shared) = (high(), high(), high().share());
    measure("ours/pair", ROUNDS, 1, || drop(kmap_atomic(task.atomic().slots().user0, black_box(&mut page))));
    measure("ours/pair_and_read", ROUNDS, 1, || {
        _ = kmap_atomic(task.atomic().slots().user0, black_box(&shared)).load::<u32>(0);
    });
    measure("ours/pair_lowmem", ROUNDS, 1, || drop(kmap_atomic(task.atomic().slots().user0, black_box(&mut low))));
    measure("ours/two_nested", ROUNDS, 1, || {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let _from = kmap_atomic(slots.user0, black_box(&page));
        let _to = kmap_atomic(slots.user1, black_box(&mut other));
    });
    measure("ours/same_page_again", ROUNDS / 8, 8, || {
        for part in 0..8 {
            _ = kmap_atomic(task.atomic().slots().user0, black_box(&shared)).load::<u32>(part * 512);
        }
    });
    measure("ours/local_pair", ROUNDS, 1, || {
        drop(kmap_local_page(&mut task.pinned().local().0, black_box(&mut page)).0);
    });
    measure("ours/local_pair_and_read", ROUNDS, 1, || {
        _ = kmap_local_page(&mut task.pinned().local().0, black_box(&shared)).0.load::<u32>(0);
    });
    measure("ours/local_pair_lowmem", ROUNDS, 1, || {
        drop(kmap_local_page(&mut task.pinned().local().0, black_box(&mut low)).0);
    });
    measure("ours/local_two_nested", ROUNDS, 1, || {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (_from, mut local) = kmap_local_page(&mut local, black_box(&page));
        let (_to, _) = kmap_local_page(&mut local, black_box(&mut other));
    });

    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    measure("ours/pair_within", ROUNDS, 1, || drop(kmap_atomic(slots.user0.reborrow(), black_box(&mut page))));
    measure("ours/pair_and_read_within", ROUNDS, 1, || {
        _ = kmap_atomic(slots.user0.reborrow(), black_box(&shared)).load::<u32>(0);
    });
    measure("ours/pair_lowmem_within", ROUNDS, 1, || drop(kmap_atomic(slots.user0.reborrow(), black_box(&mut low))));
    measure("ours/two_nested_within", ROUNDS, 1, || {
        let _from = kmap_atomic(slots.user0.reborrow(), black_box(&page));
        let _to = kmap_atomic(slots.user1.reborrow(), black_box(&mut other));
    });
    measure("ours/same_page_again_within", ROUNDS / 8, 8, || {
        for part in 0..8 {
            _ = kmap_atomic(slots.user0.reborrow(), black_box(&shared)).load::<u32>(part * 512);
        }
    });
}

/// Preemption off, `f`, and on again.
#[inline(always)]
fn atomically<R>(f: impl FnOnce() -> R) -> R {
    ExampleKernel::preempt_disable();
    let result = f();
    // SAFETY: once, as above.
    unsafe { ExampleKernel::preempt_enable() };
    result
}

/// What is measured finds a page's number behind a pointer.
#[inline(always)]
fn with<const SLOT: usize, R>(page: &Frame, f: impl FnOnce(*mut u8) -> R) -> R {
    // SAFETY: below, preemption is off, each slot is used once at a time, and no address is kept.
    unsafe { hand::with::<SLOT, R>(black_box(page).pfn().number(), f) }
}

#[inline(always)]
fn read(at: *mut u8, offset: usize) {
    // SAFETY: within a page that is mapped.
    unsafe { at.add(offset).cast::<u32>().read_volatile() };
}

/// The same by hand.
fn by_hand() {
    let low = frames::alloc(Zone::Low).expect("a frame of lowmem");
    let (page, other) = (high(), high());
    let pair = |page: &Frame| with::<0, _>(page, |_| ());
    let pair_and_read = |page: &Frame, offset| with::<0, _>(page, |at| read(at, offset));
    let two = || with::<0, _>(&page, |_| with::<1, _>(&other, |_| ()));
    let copy_highpage = |to: &Frame, from: &Frame| with::<0, _>(from, |from| with::<1, _>(to, |to| copy(to, from)));
    measure("hand/pair", ROUNDS, 1, || atomically(|| pair(&page)));
    measure("hand/pair_and_read", ROUNDS, 1, || atomically(|| pair_and_read(&page, 0)));
    measure("hand/pair_lowmem", ROUNDS, 1, || atomically(|| pair(&low)));
    measure("hand/two_nested", ROUNDS, 1, || atomically(two));
    measure("hand/same_page_again", ROUNDS / 8, 8, || {
        for part in 0..8 {
            atomically(|| pair_and_read(&page, part * 512));
        }
    });
    measure("hand/clear_highpage", ROUNDS / 8, 1, || atomically(|| with::<0, _>(&page, clear)));
    measure("hand/copy_highpage", ROUNDS / 8, 1, || atomically(|| copy_highpage(&other, &page)));
    let [to, from] = [(); 2].map(|()| (0..RUN).map(|_| high()).collect::<Vec<_>>());
    measure("hand/copy_run", 2, 1, || {
        for (to, from) in to.iter().zip(&from) {
            atomically(|| copy_highpage(to, from));
        }
    });

    atomically(|| {
        measure("hand/pair_within", ROUNDS, 1, || pair(&page));
        measure("hand/pair_and_read_within", ROUNDS, 1, || pair_and_read(&page, 0));
        measure("hand/pair_lowmem_within", ROUNDS, 1, || pair(&low));
        measure("hand/two_nested_within", ROUNDS, 1, two);
        measure("hand/same_page_again_within", ROUNDS / 8, 8, || {
            for part in 0..8 {
                pair_and_read(&page, part * 512);
            }
        });
    });
}

/// A page that its slot has kept.
fn kept() {
    let shared = high().share();
    enter(|task| {
        measure("ours/kept_page_again", ROUNDS / 8, 8, || {
            for part in 0..8 {
                _ = kmap_atomic(task.atomic().slots().kept, black_box(&shared)).load::<u32>(part * 512);
            }
        });
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().kept;
        measure("ours/kept_page_again_within", ROUNDS / 8, 8, || {
            for part in 0..8 {
                _ = kmap_atomic(slot.reborrow(), black_box(&shared)).load::<u32>(part * 512);
            }
        });
        drop(atomic);
        flush_lazy(task);
    });
}

/// Pages that are mapped in a row, up to the ceiling, and above it, where they are flushed at once.
fn batches() {
    let pages: Vec<SharedFrame> = (0..64).map(|_| high().share()).collect();
    enter(|task| {
        for (name, count) in [("ours/batch_of_8", 8), ("ours/batch_of_32", 32), ("ours/batch_of_64", 64)] {
            measure(name, ROUNDS / 8, count as u32, || {
                drop(kmap_batch(task.atomic().slots().many, black_box(&pages[..count])));
            });
        }
    });
}

/// One `rep stos` of whole words.
#[inline(always)]
fn clear(page: *mut u8) {
    #[cfg(target_arch = "x86")]
    // SAFETY: a page that is mapped.
    unsafe {
        core::arch::asm!("rep stosd", inout("ecx") PAGE_SIZE / 4 => _, inout("edi") page => _, in("eax") 0, options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("rep stosq", inout("rcx") PAGE_SIZE / 8 => _, inout("rdi") page => _, in("rax") 0, options(nostack, preserves_flags));
    }
}

/// One `rep movs` of whole words. On 32 bits the compiler keeps `esi` for itself.
#[inline(always)]
fn copy(to: *mut u8, from: *mut u8) {
    #[cfg(target_arch = "x86")]
    // SAFETY: pages that are mapped, and are not the same.
    unsafe {
        core::arch::asm!("xchg esi, {from}", "rep movsd", "xchg esi, {from}",
            from = inout(reg) from => _, inout("ecx") PAGE_SIZE / 4 => _, inout("edi") to => _, options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("rep movsq", inout("rcx") PAGE_SIZE / 8 => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags));
    }
}

/// Whole pages.
fn pages(task: &mut Task<'_>) {
    let (mut page, mut other) = (high(), high());
    measure("ours/clear_highpage", ROUNDS / 8, 1, || {
        clear_highpage(task.atomic().slots().user0, black_box(&mut page));
    });
    measure("ours/copy_highpage", ROUNDS / 8, 1, || {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        copy_highpage(slots.user1, black_box(&mut other), slots.user0, black_box(&page));
    });
    let usual = kmap::copy_by();
    kmap::set_copy_by(CopyBy::Bytes);
    measure("ours/clear_highpage_by_bytes", ROUNDS / 8, 1, || {
        clear_highpage(task.atomic().slots().user0, black_box(&mut page));
    });
    measure("ours/copy_highpage_by_bytes", ROUNDS / 8, 1, || {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        copy_highpage(slots.user1, black_box(&mut other), slots.user0, black_box(&page));
    });
    kmap::set_copy_by(usual);
    let [mut to, from] = [(); 2].map(|()| (0..RUN).map(|_| high()).collect::<Vec<_>>());
    measure("ours/copy_run", 2, 1, || {
        for (to, from) in to.iter_mut().zip(&from) {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            copy_highpage(slots.user1, black_box(to), slots.user0, black_box(from));
        }
    });
    drop((to, from));
    let (mut to, _to) = run();
    let (from, _from) = run();
    measure("ours/memcpy_run", 2, 1, || {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let (to, from) = (black_box(&mut to), black_box(&from));
        memcpy_run(slots.user1, (to, 0), slots.user0, (from, 0), RUN * PAGE_SIZE).expect("both are as long");
    });
}

/// Frames of high memory that follow one another, and their owners.
fn run() -> (FrameRun<Paging>, Vec<Frame>) {
    let zone = if Zone::Above4G.is_reachable() { Zone::Above4G } else { Zone::High };
    let mut first = frames::highest_pfn() + 1;
    let frames: Vec<Frame> = loop {
        first -= RUN;
        assert_eq!(Zone::of(first), zone, "so many frames in a row");
        if let Some(frames) = (first..first + RUN).map(frames::alloc_at).collect() {
            break frames;
        }
    };
    let pages = const { NonZero::new(RUN).expect("more than none") };
    let first = Pfn::new(first as u64).expect("a frame within reach");
    // SAFETY: the frames have no other user while their owners are kept.
    (unsafe { FrameRun::from_pfns(first, pages) }.expect("a run within reach"), frames)
}

/// The entry of a user address, whose tables are in high memory.
fn walk(task: &mut Task<'_>) {
    let page: SharedFrame = high().share();
    let mut space = spaces::new(task).expect("a frame for the top table");
    let mut atomic = task.atomic();
    let (mut slots, mut source) = (atomic.slots(), Tables);
    let mut edit = space.edit(slots.pte0.reborrow(), slots.pte1.reborrow(), &mut source);
    // SAFETY: the frame stays for longer than the space.
    let flush = unsafe { edit.map(AT, page.pfn(), PageSize::Small, Flags::USER | Flags::WRITABLE) };
    edit.flush(flush.expect("nothing is mapped there"));
    drop(atomic);
    measure("ours/walk", ROUNDS / 8, 1, || {
        let mut atomic = task.atomic();
        let entry = space.entry(atomic.slots().pte0, black_box(AT)).expect("there is a table");
        _ = black_box(entry.leaf());
    });
    let mut atomic = task.atomic();
    let slots = atomic.slots();
    let mut edit = space.edit(slots.pte0, slots.pte1, &mut source);
    let flush = edit.unmap(Pages::one(AT), |_| ());
    edit.flush(flush.expect("no table is corrupt"));
    drop(atomic);
    // SAFETY: no thread uses it.
    unsafe { spaces::free(task, space) };
}

/// Mappings for all CPUs.
fn pool(task: &mut Task<'_>) {
    let mut low = frames::alloc(Zone::Low).expect("a frame of lowmem");
    measure("ours/kmap_lowmem", ROUNDS, 1, || drop(kmap(task, black_box(&mut low))));
    let mut page = high();
    measure("ours/kmap_hit", ROUNDS, 1, || drop(kmap(task, black_box(&mut page))));
    let mut pages: Vec<Frame> = (0..PAGES).map(|_| high()).collect();
    measure("ours/kmap_remap", 2, PAGES as u32, || pages.iter_mut().for_each(|page| drop(kmap(task, page))));
}

/// A slot of interrupt handlers, in a handler.
fn in_interrupt(task: &mut Task<'_>) {
    static PAGE: IrqLock<Option<SharedFrame>> = IrqLock::new(None);
    static DONE: AtomicUsize = AtomicUsize::new(0);
    PAGE.with(|page| *page = Some(high().share()));
    fn handler(irq: &mut HardIrq<'_>) {
        let Some(page) = PAGE.with(Option::take) else { return };
        measure("ours/pair_in_interrupt", ROUNDS / 8, 1, || {
            _ = kmap_atomic(irq.slots().irq0, black_box(&page)).load::<u32>(0);
        });
        measure("hand/pair_in_interrupt", ROUNDS / 8, 1, || {
            // SAFETY: nothing else uses the slot now, and the address is not kept.
            unsafe { hand::with::<2, _>(black_box(&page).pfn().number(), |at| read(at, 0)) };
        });
        DONE.store(1, Relaxed);
    }
    timer::set_handler(handler);
    while DONE.load(Relaxed) == 0 {
        kernel::thread::yield_now(task);
        hint::spin_loop();
    }
    timer::clear_handler();
}

const REMAP: usize = 1;
const HIT: usize = 2;

/// How often each thread goes over its pages.
const TIMES: usize = 64;

static WHICH: AtomicUsize = AtomicUsize::new(0);
static ARRIVED: AtomicUsize = AtomicUsize::new(0);
static LEFT: AtomicUsize = AtomicUsize::new(0);
static BEGAN: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

/// A thread on each CPU maps its own pages; the time from when all are there until the last is done.
fn on_all_cpus(task: &mut Task<'_>, name: &str, which: usize) {
    let cpus = smp::count();
    WHICH.store(which, Relaxed);
    ARRIVED.store(0, Relaxed);
    LEFT.store(cpus, Relaxed);
    smp::run_on_all(task, |task, _| {
        let mut own: Vec<Frame> = (0..PAGES / smp::count()).map(|_| high()).collect();
        if ARRIVED.fetch_add(1, AcqRel) + 1 == smp::count() {
            BEGAN.store(tsc(), Relaxed);
            ARRIVED.fetch_add(1, AcqRel);
        }
        while ARRIVED.load(Acquire) <= smp::count() {
            hint::spin_loop();
        }
        let hits = WHICH.load(Relaxed) == HIT;
        for _ in 0..TIMES {
            for page in 0..own.len() {
                drop(kmap(task, black_box(&mut own[if hits { 0 } else { page }])));
            }
        }
        if LEFT.fetch_sub(1, AcqRel) == 1 {
            ENDED.store(tsc(), Relaxed);
        }
    });
    let time = ENDED.load(Relaxed) - BEGAN.load(Relaxed);
    println!("total {name} {time} {}", TIMES * (PAGES / cpus) * cpus);
}
