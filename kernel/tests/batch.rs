//! Does a batch show each page its own bytes, in its place, on all CPUs, and is nothing of it left at its end? Needs memory above 4 GiB
//! (6 GiB will do), or without PAE, above lowmem.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;

use highmem::fixmap::slots_of_cpu;
use highmem::machine::X86;
use highmem::{Fixmap, Kernel, PAGE_SIZE, Task, kmap_atomic, kmap_batch, selftest};
use kernel::frames::{self, Frame};
use kernel::kmap::ExampleKernel;
use kernel::{arch, harness, paging, probe, smp};

kernel::main!(batch_tests);

fn batch_tests(task: &mut kernel::kmap::Task<'_>) {
    // SAFETY: a table of highmem's, which answers for what its entries map.
    unsafe { paging::link_table(Batches::FIXMAP_BASE, (&raw const FIXMAP.tables()[0]).cast()) };
    harness::run_tests(
        task,
        &[
            ("nothing_of_a_batch_is_left_behind_it", nothing_of_a_batch_is_left_behind_it),
            ("batches_of_all_sizes_show_each_page_its_own_bytes", batches_of_all_sizes_show_each_page_its_own_bytes),
            ("a_forgotten_batch_is_emptied_by_the_next", a_forgotten_batch_is_emptied_by_the_next),
            ("a_batch_of_what_is_borrowed_is_read_only", a_batch_of_what_is_borrowed_is_read_only),
            ("a_handler_has_a_batch_of_its_own", a_handler_has_a_batch_of_its_own),
            ("the_self_test_looks_at_each_page_of_a_batch", the_self_test_looks_at_each_page_of_a_batch),
        ],
    )
}

highmem::km_types! {
    mod km {
        atomic { many: Many[64] }
        irqsoff { few: Few[4] }
    }
}

/// The example kernel, with one more window, in which each CPU has two batches.
struct Batches;

static FIXMAP: Fixmap<1> = Fixmap::new::<Batches>();

// SAFETY: as `ExampleKernel`, with a window of its own.
unsafe impl Kernel for Batches {
    kernel::as_the_example_kernel!();

    type KmTypes = km::Set;
    type Cpus = <ExampleKernel as Kernel>::Cpus;
    type Machine = X86;
    type Fixmap = Fixmap<1>;

    const FIXMAP_BASE: usize = arch::LAPIC_BASE - paging::TABLE_SPAN;

    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }
    fn cpu() -> usize {
        ExampleKernel::cpu()
    }
    fn no_execute() -> bool {
        ExampleKernel::no_execute()
    }
}

fn high() -> Frame {
    frames::alloc_highmem().expect("a frame of high memory")
}

fn enter(f: impl FnOnce(&mut Task<'_, Batches>)) {
    // SAFETY: I1: one thread of each CPU at a time uses this window, which no interrupt uses; there is no other task of this kernel, and each
    // is bound to its CPU.
    unsafe { Task::enter(f) }
}

/// A page, and what its first, a middle and its last byte are.
type Stamped = (Frame, u8);

const PLACES: [usize; 3] = [0, 1234, PAGE_SIZE - 1];

fn stamped(count: usize) -> Vec<Stamped> {
    let mut pages: Vec<Stamped> = (0..count).map(|_| (high(), 0)).collect();
    enter(|task| {
        let mut atomic = task.atomic();
        let bytes = kmap_batch(atomic.slots().many, pages.iter_mut().map(|(page, _)| page));
        bytes.expect("there is room").fill(0);
    });
    pages
}

fn nothing_of_a_batch_is_left_behind_it(_: &mut kernel::kmap::Task<'_>) {
    let mut pages = stamped(64);
    enter(|task| {
        for count in [1, 2, 32, 33, 34, 63, 64] {
            let mut atomic = task.atomic();
            let batch = pages[..count].iter_mut().map(|(page, _)| page);
            let mut bytes = kmap_batch(atomic.slots().many, batch).expect("there is room");
            bytes.fill(count as u8);
            let (first, len) = (bytes.address(), bytes.len());
            assert_eq!(len, count * PAGE_SIZE);
            assert_eq!(probe::read_u8(first + len - 1).ok(), Some(count as u8));
            drop(bytes);
            for page in 0..64 {
                assert!(probe::read_u8(first + page * PAGE_SIZE).is_err(), "page {page} of {count} is still mapped");
            }
        }
    });
}

fn batches_of_all_sizes_show_each_page_its_own_bytes(task: &mut kernel::kmap::Task<'_>) {
    smp::run_on_all(task, |_, cpu| {
        let mut pages = stamped(64);
        let mut seed = 7 + cpu as u32;
        let mut below = |limit: usize| {
            seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            (seed >> 12) as usize % limit
        };
        for round in 0..400_u32 {
            // Each third one is about as large as what is flushed page by page at most.
            let count = if round % 3 == 0 { 31 + below(6) } else { below(65) };
            (0..8).for_each(|_| pages.swap(below(64), below(64)));
            enter(|task| {
                let mut atomic = task.atomic();
                let (batch, stamps): (Vec<&mut Frame>, Vec<&mut u8>) =
                    pages[..count].iter_mut().map(|(page, stamp)| (page, stamp)).unzip();
                let mut bytes = kmap_batch(atomic.slots().many, batch).expect("there is room");
                for (page, stamp) in stamps.into_iter().enumerate() {
                    for place in PLACES.map(|place| page * PAGE_SIZE + place) {
                        assert_eq!(
                            bytes[place], *stamp,
                            "byte {place:#x} of {count} pages in round {round}, CPU {cpu}"
                        );
                    }
                    *stamp = below(256) as u8;
                    PLACES.into_iter().for_each(|place| bytes[page * PAGE_SIZE + place] = *stamp);
                }
            });
        }
    });
}

fn a_forgotten_batch_is_emptied_by_the_next(_: &mut kernel::kmap::Task<'_>) {
    let mut pages = stamped(64);
    enter(|task| {
        let mut atomic = task.atomic();
        let mut many = atomic.slots().many;
        for count in [2, 33, 34, 64] {
            let (old, new) = pages.split_at_mut(count);
            let bytes = kmap_batch(many.reborrow(), old.iter_mut().map(|(page, _)| page)).expect("there is room");
            let first = bytes.address();
            // So that the processor knows them all.
            assert!(bytes.iter().step_by(PAGE_SIZE).all(|&byte| byte == 0));
            mem::forget(bytes);
            let one = new.first().map(|(page, _)| page);
            let expected = usize::from(one.is_some());
            let bytes = kmap_batch(many.reborrow(), one).expect("there is room");
            assert_eq!(bytes.pages(), expected);
            for page in expected..64 {
                assert!(probe::read_u8(first + page * PAGE_SIZE).is_err(), "page {page} of {count} is still mapped");
            }
        }
    });
}

fn a_batch_of_what_is_borrowed_is_read_only(_: &mut kernel::kmap::Task<'_>) {
    let pages = stamped(3);
    enter(|task| {
        let mut atomic = task.atomic();
        // One of them twice: nobody writes it.
        let batch = [&pages[0].0, &pages[1].0, &pages[0].0];
        let bytes = kmap_batch(atomic.slots().many, batch).expect("there is room");
        for page in 0..3 {
            // SAFETY: it has to fault, and changes nothing.
            let fault = unsafe { probe::write_u8(bytes.address() + page * PAGE_SIZE, 2) };
            let fault = fault.expect_err("the page was mapped to be read");
            assert!(fault.was_present() && fault.was_write());
        }
        assert!(bytes.iter().all(|&byte| byte == 0));
    });
}

fn a_handler_has_a_batch_of_its_own(_: &mut kernel::kmap::Task<'_>) {
    let (mut outer, mut inner) = (stamped(40), stamped(4));
    enter(|task| {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let mut many = kmap_batch(slots.many, outer.iter_mut().map(|(page, _)| page)).expect("there is room");
        many.fill(1);
        for round in 0..100_u8 {
            let mut irqs_off = slots.deeper.irqs_off();
            let batch = inner.iter_mut().map(|(page, _)| page);
            let mut few = kmap_batch(irqs_off.slots().few, batch).expect("there is room");
            assert!(few.iter().all(|&byte| byte == round));
            few.fill(round + 1);
        }
        assert!(many.iter().all(|&byte| byte == 1));
    });
}

fn the_self_test_looks_at_each_page_of_a_batch(task: &mut kernel::kmap::Task<'_>) {
    smp::run_on_all(task, |task, cpu| {
        let [one, two] = [1_u64, 2].map(|bytes| {
            let mut page = high();
            kmap_atomic(task.atomic().slots().user0, &mut page)[..8].copy_from_slice(&bytes.to_le_bytes());
            (page, bytes)
        });
        let mut seen = BTreeSet::new();
        enter(|task| {
            let result = selftest(task, [(&one.0, one.1), (&two.0, two.1)], |address| {
                let bytes = probe::read_u8(address).ok().map(u64::from);
                seen.extend(bytes.map(|_| address));
                bytes
            });
            assert_eq!(result, Ok(()), "on CPU {cpu}");
        });
        let pages: Vec<usize> = slots_of_cpu::<Batches>(cpu).map(|(_, address)| address).collect();
        assert_eq!(pages.len(), 68);
        assert!(pages.iter().all(|address| seen.contains(address)), "a page was not looked at, on CPU {cpu}");
        assert!(pages.iter().all(|&address| probe::read_u8(address).is_err()), "a page is left mapped, on CPU {cpu}");
    });
}
