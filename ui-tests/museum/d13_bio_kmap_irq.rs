//! D13, block layer: what was thought to turn interrupts off only says whether they are on.
//!
//! Linux, `include/linux/bio.h`, 2003. Introduced in bc7ae54e5a, fixed in 240d3e2d1f (history before git). Seen: the diff.
//!
//! ```c
//! local_save_flags(f);             /* does NOT disable */
//! a = kmap_atomic(pg, KM_BIO_SRC_IRQ);
//! ```
//!
//! The fix is `local_irq_save()`, whose name differs by a word. Here the two differ by what they return: flags have no slots, a context
//! with interrupts off has.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bio.rs"]
mod bio;
use bio::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// `local_save_flags()`: whether interrupts are on.
fn local_save_flags(_atomic: &Atomic<'_, MyKernel>) -> bool {
    true
}

/// Writes what `end_io` has to say to the first part of a request.
fn end_io(atomic: &mut Atomic<'_, MyKernel>, bio: &mut Bio, status: u8) {
    let flags = local_save_flags(atomic);
    let (mut a, at) = bvec_kmap_irq(atomic.slots().bio_src_irq, &mut bio.io_vec[0]);
    a[at][0] = status;
    bvec_kunmap_irq(a);
    assert!(flags);
}

fn main() {
    let mut bio = bio();
    thread(|task| end_io(&mut task.atomic(), &mut bio, 5));
    assert_eq!(get(&bio.io_vec[0].page, 0), [5, 0]);
}
