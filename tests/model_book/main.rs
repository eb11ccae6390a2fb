//! The Rust of the pages in `docs/how-to`, of `docs/why.md`, and of `docs/other-crates.md` about `lock_api` and `log`, as it stands there, with tests of it
//! on the model: a module for each page.
//! `cargo xtask book` compares.

use highmem::model::{Machine, Zone};
use highmem::paging::Pae;
use highmem::{PAGE_SIZE, kmap_atomic};

mod bounce;
mod interrupts;
mod locks;
mod page_tables;
mod runs_and_copies;
mod smp;
mod testing_on_the_model;
mod tracing;
mod why;

/// What a kernel calls its own: here, the model's.
mod mm {
    use super::Pae;

    pub type K = highmem::model::ModelKernel<Pae>;
    pub type Frame = highmem::model::Frame<Pae>;
    pub type FrameRun = highmem::model::FrameRun<Pae>;
    pub type SharedFrame = highmem::model::SharedFrame<Pae>;

    pub type Task<'e> = highmem::Task<'e, K>;
    pub type Atomic<'cx> = highmem::Atomic<'cx, K>;
    pub type HardIrq<'e> = highmem::HardIrq<'e, K>;
    pub type Softirq<'e> = highmem::Softirq<'e, K>;
    pub type Slot<'cx, S> = highmem::Slot<'cx, K, S>;
}

/// Runs `f` on a machine, as a task that cannot be preempted.
fn atomic<R>(machine: &Machine, f: impl FnOnce(&mut mm::Atomic<'_>) -> R) -> R {
    machine.cpu(0).task(|task| f(&mut task.atomic()))
}

/// A page of high memory in which each byte is that one.
fn page(machine: &Machine, byte: u8) -> mm::Frame {
    let mut page = machine.alloc(Zone::High);
    atomic(machine, |atomic| kmap_atomic(atomic.slots().user0, &mut page).fill(byte));
    page
}

/// Nothing is left of what was mapped.
fn check(machine: &Machine) {
    assert_eq!(highmem::debug::mappings::<mm::K>().count(), 0, "a slot is not empty");
    assert_eq!(machine.stale(), [], "a translation is still cached");
    assert_eq!(machine.faults(), []);
}

#[test]
fn a_page_is_what_it_is_filled_with() {
    use highmem::Page as _;

    let machine = Machine::new();
    assert_eq!(machine.peek(page(&machine, 7).pfn()), [7; PAGE_SIZE]);
    check(&machine);
}
