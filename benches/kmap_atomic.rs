//! What a pair of `kmap_atomic` and unmap costs, in instructions, and what is made of such pairs; beside the same pair written by hand.
//!
//! Under `-icount shift=0` the time-stamp counter counts instructions, so that each figure is exact and the same in every run. The
//! loop around what is measured is measured too, and taken off. The numbers of frames are in a register, as they are in a kernel that
//! has just taken a page from somewhere.

#![no_std]
#![no_main]

use core::arch::asm;
use core::array;
use core::hint::black_box;
use core::marker::PhantomData;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};

use highmem::fixmap::FixmapTables;
use highmem::lazy::flush_lazy;
use highmem::linux::Set;
use highmem::local::Locals;
use highmem::tlb::Translations;
use highmem::{
    Fixmap, Frame, Kernel, KmTypes, PAGE_SIZE, Page, Pfn, Task, clear_highpage, copy_highpage, kmap_atomic, kmap_batch,
    kunmap_atomic,
};
use kernel::frames::{self, Zone};
use kernel::kmap::{ExampleKernel, Paging};
use kernel::{arch, irq, paging, println};
use typenum::{NonZero, Unsigned};

kernel::main!(costs);

const ROUNDS: u32 = 10_000;

/// What each operation may cost at most: without PAE, with PAE, with 64 bits.
#[derive(Clone, Copy)]
struct Limits {
    with_context: [u32; 3],
    pair: [u32; 3],
    lowmem: [u32; 3],
    two: [u32; 3],
    clear: [u32; 3],
    copy: [u32; 3],
    lazy_hit: [u32; 3],
    lazy_misses: [u32; 3],
    /// So many for each batch, and for each page of it.
    batch: [[u32; 3]; 2],
    /// The same above the ceiling.
    batch_above: [[u32; 3]; 2],
}

fn costs(_: &mut kernel::kmap::Task<'_>) {
    const ONE_ADDRESS: Limits = Limits {
        with_context: [13, 18, 14],
        pair: [9, 14, 10],
        lowmem: [2, 2, 2],
        two: [22, 32, 22],
        clear: [1040, 1044, 529],
        copy: [1053, 1060, 539],
        lazy_hit: [5, 6, 5],
        lazy_misses: [44, 60, 39],
        batch: [[60, 37, 39], [21, 27, 17]],
        batch_above: [[60, 47, 42], [17, 23, 12]],
    };
    const ONE_ADDRESS_NX_FOUND_OUT: Limits = Limits {
        with_context: [13, 20, 16],
        pair: [9, 16, 12],
        lowmem: [2, 2, 2],
        two: [22, 36, 28],
        clear: [1040, 1046, 531],
        copy: [1053, 1065, 545],
        lazy_hit: [5, 6, 5],
        lazy_misses: [44, 60, 42],
        batch: [[60, 37, 37], [21, 29, 20]],
        batch_above: [[60, 47, 41], [17, 25, 15]],
    };
    const CPU_NUMBER: Limits = Limits {
        with_context: [17, 22, 18],
        pair: [13, 18, 14],
        lowmem: [2, 2, 2],
        two: [37, 50, 35],
        clear: [1050, 1055, 535],
        copy: [1067, 1079, 553],
        lazy_hit: [11, 12, 9],
        lazy_misses: [52, 72, 54],
        batch: [[73, 46, 47], [25, 30, 19]],
        batch_above: [[71, 55, 69], [21, 26, 14]],
    };
    const CPU_NUMBER_NX_FOUND_OUT: Limits = Limits {
        with_context: [17, 27, 20],
        pair: [13, 22, 16],
        lowmem: [2, 2, 2],
        two: [37, 48, 41],
        clear: [1050, 1056, 537],
        copy: [1067, 1080, 559],
        lazy_hit: [11, 12, 9],
        lazy_misses: [52, 72, 58],
        batch: [[73, 46, 36], [25, 32, 27]],
        batch_above: [[71, 56, 46], [21, 28, 23]],
    };
    if cfg!(feature = "cpu-window") {
        println!("a kernel with several CPUs, each of which has its own window, and costs no more than a single one");
        costs_of::<ThisKernels, NxKnown>("_with_own_window", ONE_ADDRESS);
        costs_of::<ThisKernels, NxFoundOut>("_with_own_window_nx_found_out", ONE_ADDRESS_NX_FOUND_OUT);
        return;
    }
    // SAFETY: a table of highmem's, which answers for what its entries map.
    unsafe { paging::link_table(OneCpu::BASE, (&raw const FIXMAP.tables()[0]).cast()) };
    println!("a kernel with one CPU");
    costs_of::<OneCpu, NxKnown>("", ONE_ADDRESS);
    costs_of::<OneCpu, NxFoundOut>("_nx_found_out", ONE_ADDRESS_NX_FOUND_OUT);
    println!("a kernel with several CPUs, which has to know on which it is");
    costs_of::<ThisKernels, NxKnown>("_with_cpu_number", CPU_NUMBER);
    costs_of::<ThisKernels, NxFoundOut>("_with_cpu_number_nx_found_out", CPU_NUMBER_NX_FOUND_OUT);
}

#[inline(never)]
fn costs_of<L: Layout, N: Nx>(which: &str, limits: Limits) {
    assert_eq!(N::no_execute(), paging::has_nx(), "a kernel that knows its processor knows another one");
    let mut high = frames::alloc_highmem().expect("a frame of high memory");
    let other = frames::alloc(Zone::High).expect("a frame of high memory");
    let low = frames::alloc(Zone::Low).expect("a frame of lowmem");
    let [pfn, other, low] = [&high, &other, &low].map(|frame| frame.pfn().number());

    let measure = |task: &mut Task<'_, Bench<L, N>>| {
        budget("pair_and_context", which, limits.with_context, [pfn, 0], |[pfn, _]| {
            drop(kmap_atomic(task.atomic().slots().user0, frame(pfn)));
        });
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let (user0, user1) = (&mut slots.user0, &mut slots.user1);
        for (name, limits, pfn) in [("pair", limits.pair, pfn), ("pair_on_lowmem", limits.lowmem, low)] {
            let ours =
                budget(name, which, limits, [pfn, 0], |[pfn, _]| drop(kmap_atomic(user0.reborrow(), frame(pfn))));
            let by_hand = cost([pfn, 0], |[pfn, _]| by_hand::pair::<L, N>(pfn));
            println!("{name}{which} written by hand: {by_hand}");
            println!("budget {name}_over_by_hand{which} measured {} limit 1", i64::from(ours) - i64::from(by_hand));
        }
        budget("pair_unmapped", which, limits.pair, [pfn, 0], |[pfn, _]| {
            let _ = kunmap_atomic(kmap_atomic(user0.reborrow(), frame(pfn)));
        });
        budget("pair_read_only", which, limits.pair, [pfn, 0], |[pfn, _]| {
            drop(kmap_atomic(user0.reborrow(), &frame(pfn)));
        });
        let at = (&raw mut high).expose_provenance();
        // One load more, and on 32 bits a few moves for want of registers.
        budget("pair_of_a_page_in_memory", which, limits.pair.map(|limit| limit + 3), [at, 0], |[page, _]| {
            // SAFETY: it is that of `high`, which nobody else uses now.
            let page = unsafe { &mut *ptr::with_exposed_provenance_mut::<frames::Frame>(page) };
            drop(kmap_atomic(user0.reborrow(), page));
        });
        // Each step of a string instruction counts as an instruction: a page has 1024 words, or 512 of 64 bits.
        budget("clear_highpage", which, limits.clear, [pfn, 0], |[pfn, _]| {
            clear_highpage(user0.reborrow(), frame(pfn));
        });
        budget("copy_highpage", which, limits.copy, [pfn, other], |[pfn, other]| {
            copy_highpage(user1.reborrow(), frame(other), user0.reborrow(), frame(pfn));
        });
        budget("two_nested_slots", which, limits.two, [pfn, other], |[pfn, other]| {
            let _source = kmap_atomic(user0.reborrow(), frame(pfn));
            let _target = kmap_atomic(user1.reborrow(), frame(other));
        });
    };
    // SAFETY: I1: the one thread that uses these slots, which no interrupt uses; it is bound to the first CPU.
    unsafe { Task::<Bench<L, N>>::enter(measure) };
    lazy_costs::<L, N>(which, limits, [pfn, other]);
    batch_costs::<L, N>(which, limits, pfn);
}

highmem::km_types! {
    /// A slot that keeps its page, and a batch.
    mod km {
        atomic {
            kept: Kept lazy,
            many: Many[64],
        }
    }
}

/// The same page again and again in a lazy slot, and two pages in turn.
fn lazy_costs<L: Layout, N: Nx>(which: &str, limits: Limits, [pfn, other]: [usize; 2]) {
    let measure = |task: &mut Task<'_, Bench<L, N, km::Set>>| {
        let mut atomic = task.atomic();
        let mut kept = atomic.slots().kept;
        drop(kmap_atomic(kept.reborrow(), frame(pfn)));
        budget("lazy_hit", which, limits.lazy_hit, [pfn, 0], |[pfn, _]| drop(kmap_atomic(kept.reborrow(), frame(pfn))));
        drop(kmap_atomic(kept.reborrow(), frame(other)));
        budget("two_lazy_misses", which, limits.lazy_misses, [pfn, other], |[pfn, other]| {
            drop(kmap_atomic(kept.reborrow(), frame(pfn)));
            drop(kmap_atomic(kept.reborrow(), frame(other)));
        });
        drop(atomic);
        flush_lazy(task);
    };
    // SAFETY: I1: as in `costs_of`, which has left no guard.
    unsafe { Task::enter(measure) };
}

/// So many pages in a batch: up to the ceiling, and above it, where they are flushed at once.
fn batch_costs<L: Layout, N: Nx>(which: &str, limits: Limits, pfn: usize) {
    const COUNTS: [(&str, usize); 6] = [
        ("batch_of_1", 1),
        ("batch_of_8", 8),
        ("batch_of_32", 32),
        ("batch_of_33", 33),
        ("batch_of_34", 34),
        ("batch_of_64", 64),
    ];
    let measure = |task: &mut Task<'_, Bench<L, N, km::Set>>| {
        let mut atomic = task.atomic();
        let mut many = atomic.slots().many;
        // One frame so many times, which is only read; and it is not.
        let frames: [Frame<Paging>; 64] = array::from_fn(|_| frame(pfn));
        for (name, count) in COUNTS {
            let is_above = count > <Bench<L, N, km::Set>>::FLUSH_CEILING;
            let [start, page] = if is_above { limits.batch_above } else { limits.batch };
            let limits = [0, 1, 2].map(|mode| start[mode] + page[mode] * count as u32);
            budget(name, which, limits, [count, 0], |[count, _]| {
                drop(kmap_batch(many.reborrow(), black_box(&frames[..count])));
            });
        }
    };
    // SAFETY: I1: as in `costs_of`, which has left no guard.
    unsafe { Task::enter(measure) };
}

/// A frame of which there is only the number.
#[inline(always)]
fn frame(pfn: usize) -> Frame<Paging> {
    // SAFETY: `costs_of` has taken all three frames, and each is used by one mapping at a time. The number is that of a frame.
    unsafe { Frame::from_pfn(Pfn::new(pfn as u64).unwrap_unchecked()) }
}

/// The kernel of this machine, as if its window were laid out like `L`, and the processor's NX known like `N`.
struct Bench<L, N, T = Set>(PhantomData<(L, N, T)>);

/// What the kernel says about its window.
trait Layout: 'static {
    type Fixmap: FixmapTables;
    type Cpus: Unsigned + NonZero;
    const BASE: usize;
    const LOCALS: Locals;
    /// How many pages of the window each CPU has; 0 if the first CPU's are those of each.
    const PAGES_PER_CPU: usize;
    fn fixmap() -> &'static Self::Fixmap;
    fn cpu() -> usize;
}

/// One CPU.
struct OneCpu;

static FIXMAP: Fixmap<1> = Fixmap::new::<Bench<OneCpu, NxKnown>>();

impl Layout for OneCpu {
    type Fixmap = Fixmap<1>;
    type Cpus = typenum::U1;

    const BASE: usize = arch::LAPIC_BASE - paging::TABLE_SPAN;
    const LOCALS: Locals = Locals::NONE;
    const PAGES_PER_CPU: usize = 0;

    #[inline]
    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }

    #[inline]
    fn cpu() -> usize {
        0
    }
}

/// As this kernel is built: one window for all CPUs, or one for each.
struct ThisKernels;

impl Layout for ThisKernels {
    type Fixmap = <ExampleKernel as Kernel>::Fixmap;
    type Cpus = <ExampleKernel as Kernel>::Cpus;

    const BASE: usize = ExampleKernel::FIXMAP_BASE;
    const LOCALS: Locals = ExampleKernel::LOCALS;
    const PAGES_PER_CPU: usize = if cfg!(feature = "cpu-window") { 0 } else { 13 + 22 };

    #[inline]
    fn fixmap() -> &'static Self::Fixmap {
        ExampleKernel::fixmap()
    }

    #[inline]
    fn cpu() -> usize {
        ExampleKernel::cpu()
    }
}

/// How the kernel knows whether entries may forbid execution.
trait Nx: 'static {
    fn no_execute() -> bool;
}

/// It is built for processors that have it.
struct NxKnown;

impl Nx for NxKnown {
    #[inline]
    fn no_execute() -> bool {
        paging::NX_EXISTS
    }
}

/// It looks, and remembers.
struct NxFoundOut;

impl Nx for NxFoundOut {
    #[inline]
    fn no_execute() -> bool {
        paging::has_nx()
    }
}

// SAFETY: as `ExampleKernel`, on whose first CPU this runs, with a window of its own or in that one's place.
unsafe impl<L: Layout, N: Nx, T: KmTypes> Kernel for Bench<L, N, T> {
    kernel::as_the_example_kernel!();

    type KmTypes = T;
    type Cpus = L::Cpus;
    type Machine = highmem::machine::X86;
    type Fixmap = L::Fixmap;

    const FIXMAP_BASE: usize = L::BASE;
    const LOCALS: Locals = L::LOCALS;

    #[inline]
    fn fixmap() -> &'static L::Fixmap {
        L::fixmap()
    }

    #[inline]
    fn cpu() -> usize {
        L::cpu()
    }

    #[inline]
    fn no_execute() -> bool {
        N::no_execute()
    }
}

/// What the crate is measured against: the pair in the first slot as somebody writes it who knows this window, and the processor.
mod by_hand {
    use super::*;
    use entry::{Half, clear, set};
    use paging::Raw;

    /// Maps frame `pfn`, and unmaps it, with all that the crate looks at.
    #[inline(always)]
    pub fn pair<L: Layout, N: Nx>(pfn: usize) {
        const LOWMEM_FRAMES: usize = paging::LOWMEM_LIMIT / PAGE_SIZE;
        if pfn < LOWMEM_FRAMES {
            return;
        }
        let first = (&raw const *L::fixmap()).cast_mut().cast::<Raw>();
        let page = if L::PAGES_PER_CPU == 0 { 0 } else { L::cpu() * L::PAGES_PER_CPU };
        // SAFETY: I1, I3, I10: the entry of a slot of this CPU that nobody else uses now, and which is empty when it is set.
        unsafe {
            let entry = first.add(page);
            if entry.cast::<Half>().read_volatile() != 0 {
                forgotten::<L>(page, entry);
            }
            set(entry, (pfn as Raw) << 12 | BITS | if N::no_execute() { NX } else { 0 });
            compiler_fence(Ordering::SeqCst);
            // (The page is used here.)
            compiler_fence(Ordering::SeqCst);
            unmap::<L>(page, entry);
        }
    }

    #[cold]
    #[inline(never)]
    unsafe fn forgotten<L: Layout>(page: usize, entry: *mut Raw) {
        // SAFETY: the caller's promise.
        unsafe { unmap::<L>(page, entry) }
    }

    #[inline(always)]
    unsafe fn unmap<L: Layout>(page: usize, entry: *mut Raw) {
        // SAFETY: the caller's promise. The window is so far up that its address is that of a register and a number of 32 bits.
        unsafe {
            clear(entry);
            if L::PAGES_PER_CPU == 0 {
                asm!("invlpg [{window}]", window = const L::BASE as isize as i32, options(nostack, preserves_flags));
            } else {
                asm!(
                    "invlpg [{offset} + {window}]",
                    offset = in(reg) page << 12,
                    window = const L::BASE as isize as i32,
                    options(nostack, preserves_flags)
                );
            }
        }
    }

    /// Present, writable, accessed, dirty, and global.
    const BITS: Raw = 0x63 | ((ExampleKernel::TRANSLATIONS as usize == Translations::Global as usize) as Raw * 0x100);

    /// Execution is forbidden.
    const NX: Raw = if paging::NX_EXISTS { 1 << (Raw::BITS - 1) } else { 0 };

    #[cfg(not(all(target_arch = "x86", not(feature = "non-pae"))))]
    mod entry {
        use super::Raw;

        /// What says whether it is empty.
        pub type Half = Raw;

        #[inline(always)]
        pub unsafe fn set(entry: *mut Raw, value: Raw) {
            // SAFETY: the caller's promise.
            unsafe { entry.write_volatile(value) }
        }

        #[inline(always)]
        pub unsafe fn clear(entry: *mut Raw) {
            // SAFETY: the caller's promise.
            unsafe { entry.write_volatile(0) }
        }
    }

    /// PAE: two halves.
    #[cfg(all(target_arch = "x86", not(feature = "non-pae")))]
    mod entry {
        use super::Raw;

        /// What says whether it is empty.
        pub type Half = u32;

        #[inline(always)]
        pub unsafe fn set(entry: *mut Raw, value: Raw) {
            let [low, high] = [0, 1].map(|half| entry.cast::<u32>().wrapping_add(half));
            // SAFETY: the caller's promise.
            unsafe {
                high.write_volatile((value >> 32) as u32);
                low.write_volatile(value as u32);
            }
        }

        #[inline(always)]
        pub unsafe fn clear(entry: *mut Raw) {
            let [low, high] = [0, 1].map(|half| entry.cast::<u32>().wrapping_add(half));
            // SAFETY: the caller's promise.
            unsafe {
                low.write_volatile(0);
                high.write_volatile(0);
            }
        }
    }
}

/// Measures `operation` and prints it beside what it may cost at most: without PAE, with PAE, with 64 bits.
fn budget(name: &str, which: &str, limits: [u32; 3], with: [usize; 2], operation: impl FnMut([usize; 2])) -> u32 {
    let cost = cost(with, operation);
    let [non_pae, pae, long] = limits;
    let limit = match paging::levels() {
        2 => non_pae,
        3 => pae,
        _ => long,
    };
    println!("budget {name}{which} measured {cost} limit {limit}");
    cost
}

/// What `operation` costs with two numbers in registers that are not known when it is compiled.
fn cost(with: [usize; 2], mut operation: impl FnMut([usize; 2])) -> u32 {
    irq::with_disabled(|| {
        let empty = cost_of(with, |with| _ = opaque(with));
        cost_of(with, |with| operation(opaque(with))) - empty
    })
}

/// The same numbers, in registers, and the compiler does not know that. It takes no instruction.
#[inline(always)]
fn opaque([mut one, mut other]: [usize; 2]) -> [usize; 2] {
    // SAFETY: does nothing. Not `pure`, so that it is done.
    unsafe {
        asm!("/* {one} {other} */", one = inout(reg) one, other = inout(reg) other, options(nomem, nostack, preserves_flags))
    };
    [one, other]
}

/// What one call of `f` costs, with the loop around it.
fn cost_of(with: [usize; 2], mut f: impl FnMut([usize; 2])) -> u32 {
    // The difference of two runs of one loop: what comes before and after the loop does not count.
    let [short, long] = [ROUNDS, 2 * ROUNDS].map(|rounds| instructions(rounds, with, &mut f));
    let cost = long - short;
    assert_eq!(cost % ROUNDS, 0, "a round does not cost the same each time: run this with --icount");
    cost / ROUNDS
}

/// How many rounds are left. In memory, so that the loop is the same whichever registers are in use.
static LEFT: AtomicU32 = AtomicU32::new(0);

/// The instructions of so many calls of `f`. Never inlined, so that each run is the same code.
#[inline(never)]
fn instructions(rounds: u32, with: [usize; 2], f: &mut impl FnMut([usize; 2])) -> u32 {
    LEFT.store(rounds, Ordering::Relaxed);
    let start = tsc();
    loop {
        f(with);
        // SAFETY: counts down.
        unsafe {
            #[cfg(target_arch = "x86")]
            asm!("dec dword ptr [{left}]", "jnz {on}", left = sym LEFT, on = label { continue }, options(nostack));
            #[cfg(target_arch = "x86_64")]
            asm!("dec dword ptr [rip + {left}]", "jnz {on}", left = sym LEFT, on = label { continue }, options(nostack));
        }
        break;
    }
    (tsc() - start) as u32
}

#[inline(always)]
fn tsc() -> u64 {
    // SAFETY: reads a counter.
    unsafe { x86::time::rdtsc() }
}
