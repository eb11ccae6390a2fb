//! T01, Xen: an error on the way out leaves what was overridden as it is.
//!
//! Xen, `xen/arch/x86/pv/dom0_build.c`, 2024. Fixed in 1fc3f77113. Seen: the diff.
//!
//! ```c
//! override(v);
//! switch_cr3();
//! if (load() < 0)
//!         goto out;                /* not restored */
//! ```
//!
//! Each new error needs its own way back, and the one of a failed load had none. Here what was turned off is a value that turns it on
//! again, on each way out: the same early return is right.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/counted.rs"]
mod counted;
use counted::*;

/// Loads the image of dom0 to a page of it, with preemption and interrupts off.
fn dom0_construct(
    task: &mut highmem::Task<'_, Counted>,
    page: &mut Frame,
    image: &[u8],
) -> Result<(), highmem::ViewError> {
    let mut atomic = task.atomic();
    let mut irqs_off = atomic.irqs_off();
    assert_eq!(counts(), (1, false));
    let mut to = kmap_atomic(irqs_off.slots().irq0, page);
    to.write_at(16, image)?;
    to.write_at(0, b"loaded")
}

fn main() {
    let mut page = frame(0);
    assert_eq!(counted_thread(|task| dom0_construct(task, &mut page, b"vmlinuz")), Ok(()));
    assert_eq!(counts(), (0, true));

    let too_long = [1; 4096];
    let error = counted_thread(|task| dom0_construct(task, &mut page, &too_long)).unwrap_err();
    assert_eq!(error, highmem::ViewError::OutOfBounds { offset: 16 });
    assert_eq!(counts(), (0, true));

    // And again, as nothing is left over.
    let found: [u8; 23] =
        counted_thread(|task| kmap_atomic(task.atomic().slots().user0, &page)[..23].try_into().unwrap());
    assert_eq!(found, *b"loaded\0\0\0\0\0\0\0\0\0\0vmlinuz");
}
