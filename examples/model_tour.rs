//! The model: a machine on the host, for unit tests of code that maps pages. `cargo run --example model_tour --features model`
//!
//! Here everything goes wrong on purpose that the types cannot see, to show what a test would say.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use highmem::machine::Machine as _;
use highmem::model::{Config, Hardware, Machine, Zone};
use highmem::paging::{Long, Pae, Paging, Protection};
use highmem::{Page, kmap_atomic, kunmap_atomic};

fn main() {
    what_is_mapped_is_there();
    what_it_costs();
    a_use_after_unmap_is_caught();
    a_missing_flush_shows();
    interrupts_come_when_they_can();
    interrupts_come_at_each_step();
    several_cpus();
    println!("This was the tour.");
}

/// Memory is sparse: a terabyte of it takes nothing. The last frame is as good as any.
fn what_is_mapped_is_there() {
    let machine = Machine::<Long>::with(Config { memory: 1 << 40, ..Config::default() });
    let mut page = machine.alloc(Zone::High);

    // The calling thread becomes the CPU, and begins as a thread of the kernel does.
    machine.cpu(0).task(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        mapped[..5].copy_from_slice(b"hello");
        println!("{mapped:?}: {:?}", String::from_utf8_lossy(&mapped[..5]));
    });

    // Physical memory can be looked at, without any mapping.
    assert_eq!(&machine.peek(page.pfn())[..5], b"hello");
}

/// What a piece of code asks of the processor is counted.
fn what_it_costs() {
    let machine = Machine::new(); // PAE, two CPUs, 8 GiB, of which the direct map has 16 MiB
    let pages = [Zone::High, Zone::Low].map(|zone| machine.alloc(zone));
    machine.cpu(0).task(|task| {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        for (zone, page) in ["highmem", "lowmem"].iter().zip(&pages) {
            let (guard, map) = machine.cpu(0).count(|| kmap_atomic(slots.user0.reborrow(), page));
            let (_, unmap) = machine.cpu(0).count(|| kunmap_atomic(guard));
            println!("{zone}: to map {map:?}");
            println!("{zone}: to unmap {unmap:?}");
        }
    });
}

/// Types prevent it in safe code; here an address is kept. The fault names slot, address and CPU.
fn a_use_after_unmap_is_caught() {
    let machine = Machine::new();
    let page = machine.alloc(Zone::High);
    machine.cpu(1).task(|task| {
        let mut atomic = task.atomic();
        let guard = kmap_atomic(atomic.slots().user0, &page);
        let kept: *const u8 = guard.as_ptr();
        drop(guard);
        // SAFETY: there is none, which is the point: the model notices.
        let byte = unsafe { kept.read_volatile() };
        for fault in machine.faults() {
            println!("{fault}; it read {byte:#x}");
        }
    });
    // Whoever does not ask for faults gets a panic: at the next mapping, or at the end of the task.
}

/// The hardware, without the crate: an entry is cleared, and the translation stays.
fn a_missing_flush_shows() {
    let machine = Machine::new();
    let page = machine.alloc(Zone::High);
    let (address, entry) = machine.shared_page(0);
    machine.cpu(0).task(|_| {
        let protection = Protection::new(true).no_execute(true);
        let byte: *const u8 = std::ptr::with_exposed_provenance(address);
        // SAFETY: the page of the model that is shared by its CPUs, and is used by nobody else.
        unsafe {
            Pae::set::<Hardware<Pae>>(entry, Pae::entry(page.pfn().number(), protection));
            Pae::clear::<Hardware<Pae>>(entry);
            println!("the entry is empty, and the page still shows {:#x}", byte.read_volatile());
            for stale in machine.stale() {
                println!("CPU {} still takes {:#x} for pfn {:#x}", stale.cpu, stale.address, stale.pfn);
            }
            Hardware::<Pae>::invlpg(address);
        }
    });
    machine.cpu(1).flush_all();
    assert_eq!(machine.translation(address), None);
}

/// `interrupt` waits until interrupts are on.
fn interrupts_come_when_they_can() {
    let machine = Machine::new();
    let served = Arc::new(AtomicUsize::new(0));
    machine.cpu(0).task(|task| {
        let mut atomic = task.atomic();
        let irqs_off = atomic.irqs_off();
        let count = served.clone();
        machine.cpu(0).interrupt(move |_irq| count.store(1, Relaxed));
        println!("interrupts are off, served: {}", served.load(Relaxed));
        drop(irqs_off);
        println!("interrupts are on, served: {}", served.load(Relaxed));
    });
}

/// Each place where an interrupt may come, one after the other.
fn interrupts_come_at_each_step() {
    let machine = Machine::new();
    let (mut page, mut other) = (machine.alloc(Zone::High), machine.alloc(Zone::High));
    machine.cpu(0).task(|task| {
        let steps = machine.cpu(0).interrupt_everywhere(
            |irq| kmap_atomic(irq.slots().irq0, &mut other).fill(2),
            || {
                let mut atomic = task.atomic();
                let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
                mapped.fill(1);
                assert!(mapped.iter().all(|&byte| byte == 1), "the handler wrote to the wrong page");
            },
        );
        println!("a handler that maps came before each of {steps} steps, and after the last");
    });
}

/// Each CPU is a thread, for as long as it runs something.
fn several_cpus() {
    let machine = Machine::<Pae>::with(Config { cpus: 4, ..Config::default() });
    let page = machine.alloc(Zone::High);
    std::thread::scope(|scope| {
        for number in 0..machine.cpus() {
            let (machine, page) = (&machine, &page);
            scope.spawn(move || {
                machine.cpu(number).task(|task| {
                    let mut atomic = task.atomic();
                    let mapped = kmap_atomic(atomic.slots().user0, page);
                    assert_eq!(mapped[0], highmem::model::FRESH);
                });
            });
        }
    });
    println!("{} CPUs read {:?}", machine.cpus(), page.pfn());
}
