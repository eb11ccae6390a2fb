//! Interrupts are turned off by what gives their slots.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bio.rs"]
mod bio;
use bio::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Writes what `end_io` has to say to the first part of a request.
fn end_io(atomic: &mut Atomic<'_, MyKernel>, bio: &mut Bio, status: u8) {
    let mut flags = atomic.irqs_off();
    let (mut a, at) = bvec_kmap_irq(flags.slots().bio_src_irq, &mut bio.io_vec[0]);
    a[at][0] = status;
    bvec_kunmap_irq(a);
}

fn main() {
    let mut bio = bio();
    thread(|task| end_io(&mut task.atomic(), &mut bio, 5));
    assert_eq!(get(&bio.io_vec[0].page, 0), [5, 0]);
}
