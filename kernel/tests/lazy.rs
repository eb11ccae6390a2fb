//! Does a lazy slot show each page its own bytes, and is what it keeps gone after a flush? Needs memory above 4 GiB (6 GiB will do), or
//! without PAE, above lowmem.

#![no_std]
#![no_main]

use highmem::lazy::flush_lazy;
use highmem::machine::X86;
use highmem::{Fixmap, Kernel, Task, kmap_atomic};
use kernel::frames::{self, Frame};
use kernel::kmap::ExampleKernel;
use kernel::{arch, harness, paging, probe};
use typenum::U1;

kernel::main!(lazy_tests);

fn lazy_tests(task: &mut kernel::kmap::Task<'_>) {
    // SAFETY: a table of highmem's, which answers for what its entries map.
    unsafe { paging::link_table(Lazy::FIXMAP_BASE, (&raw const FIXMAP.tables()[0]).cast()) };
    harness::run_tests(
        task,
        &[
            ("the_same_page_again_leaves_its_entry", the_same_page_again_leaves_its_entry),
            ("pages_in_any_order_show_their_own_bytes", pages_in_any_order_show_their_own_bytes),
            ("what_was_mapped_to_be_written_is_read_only_when_it_is_read", read_only_when_it_is_read),
            ("a_flush_takes_the_page_away", a_flush_takes_the_page_away),
        ],
    )
}

highmem::km_types! {
    mod km {
        atomic { kept: Kept lazy }
    }
}

/// The example kernel's first CPU, with a window of its own, in which a slot is lazy.
struct Lazy;

static FIXMAP: Fixmap<1> = Fixmap::new::<Lazy>();

// SAFETY: as `ExampleKernel`, on whose first CPU this runs, with a window of its own.
unsafe impl Kernel for Lazy {
    kernel::as_the_example_kernel!();

    type KmTypes = km::Set;
    type Cpus = U1;
    type Machine = X86;
    type Fixmap = Fixmap<1>;

    const FIXMAP_BASE: usize = arch::LAPIC_BASE - paging::TABLE_SPAN;

    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }
    fn cpu() -> usize {
        0
    }
    fn no_execute() -> bool {
        ExampleKernel::no_execute()
    }
}

/// Where the slot is.
const ADDRESS: usize = Lazy::FIXMAP_BASE;

fn entry() -> paging::Raw {
    // SAFETY: within the table. The load is volatile, as those of the processor's own walks are.
    unsafe { (&raw const FIXMAP).cast::<paging::Raw>().read_volatile() }
}

fn high() -> Frame {
    frames::alloc_highmem().expect("a frame of high memory")
}

fn enter(f: impl FnOnce(&mut Task<'_, Lazy>)) {
    // SAFETY: I1: the one thread that uses this window, which no interrupt uses; there is no other task of this kernel, and it is bound to
    // the first CPU.
    unsafe { Task::enter(f) }
}

fn the_same_page_again_leaves_its_entry(_: &mut kernel::kmap::Task<'_>) {
    let mut page = high();
    enter(|task| {
        kmap_atomic(task.atomic().slots().kept, &mut page)[0] = 1;
        let kept = entry();
        assert_ne!(kept, 0, "the entry stays");
        let again = kmap_atomic(task.atomic().slots().kept, &mut page)[0];
        assert_eq!((again, entry()), (1, kept));
        flush_lazy(task);
        assert_eq!(entry(), 0);
    });
}

fn pages_in_any_order_show_their_own_bytes(_: &mut kernel::kmap::Task<'_>) {
    let mut pages = [(); 4].map(|()| (high(), 0));
    enter(|task| {
        for (page, _) in &mut pages {
            kmap_atomic(task.atomic().slots().kept, page).fill(0);
        }
        let mut order = 7_u32;
        for round in 0..2000_u32 {
            order = order.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let (page, byte) = &mut pages[(order >> 16) as usize % 4];
            if order >> 8 & 1 == 0 {
                *byte = round as u8;
                kmap_atomic(task.atomic().slots().kept, page)[17] = *byte;
            } else {
                assert_eq!(kmap_atomic(task.atomic().slots().kept, &*page)[17], *byte, "in round {round}");
            }
        }
        flush_lazy(task);
    });
}

fn read_only_when_it_is_read(_: &mut kernel::kmap::Task<'_>) {
    let mut page = high();
    enter(|task| {
        kmap_atomic(task.atomic().slots().kept, &mut page)[0] = 1;
        let mut atomic = task.atomic();
        let guard = kmap_atomic(atomic.slots().kept, &page);
        // SAFETY: it has to fault, and changes nothing.
        let fault = unsafe { probe::write_u8(guard.address(), 2) }.expect_err("the page was mapped to be read");
        assert!(fault.was_present() && fault.was_write());
        assert_eq!(guard[0], 1);
        drop(guard);
        drop(atomic);
        flush_lazy(task);
    });
}

fn a_flush_takes_the_page_away(_: &mut kernel::kmap::Task<'_>) {
    let mut page = high();
    enter(|task| {
        kmap_atomic(task.atomic().slots().kept, &mut page)[0] = 1;
        assert_eq!(probe::read_u8(ADDRESS).ok(), Some(1), "it stays behind its guard");
        flush_lazy(task);
        assert!(probe::read_u8(ADDRESS).is_err(), "neither the entry nor its translation is left");
    });
}
