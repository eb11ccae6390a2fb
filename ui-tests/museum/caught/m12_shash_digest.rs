//! M12, crypto: whether the data is in one page was asked by a subtraction that can go below 0.
//!
//! Linux, `crypto/ahash.c`, 2025. LKML b4b00e0fed2fe0e48a0d9b2270bed7e29b119f6a.1741842470.git.herbert@gondor (fixes 5f7082ed4f48). Seen:
//! the diff.
//!
//! ```c
//! if (nbytes <= min(sg->length, (unsigned int)PAGE_SIZE - offset)) {   /* offset > PAGE_SIZE: wraps */
//!         data = kmap_local_page(sg_page(sg));
//!         err = crypto_shash_digest(desc, data + offset, nbytes, out);
//!         kunmap_local(data);
//! }
//! ```
//!
//! An offset beyond the first page of an entry made the difference huge, and the fast path for one page was taken. The fix asks in another
//! way. Here the subtraction, which C does without a word, is written as the wrapping one; it is the mapping that ends it, since nothing is
//! at that offset of a page. (A plain `-` would be a panic one line earlier, in a build that checks it.)
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/clusters.rs"]
mod clusters;
use clusters::*;
use highmem::{PAGE_SIZE, ops::memcpy_from_run};

/// The sum of the first `nbytes` of an entry, in one step if they are in one page.
fn shash_ahash_digest(slot: Slot<'_, MyKernel, User0>, sg: &Sg, nbytes: usize) -> u32 {
    let mut data = [0; 64];
    if nbytes <= sg.length.min(PAGE_SIZE.wrapping_sub(sg.offset)) {
        let page = kmap_atomic(slot, sg.page.page(0).unwrap());
        return sum(&page[sg.offset..][..nbytes]);
    }
    memcpy_from_run(&mut data[..nbytes], slot, &sg.page, sg.offset).unwrap();
    sum(&data[..nbytes])
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().map(|&byte| u32::from(byte)).sum()
}

fn main() {
    let mut sg = sg(4608, 64);
    put_run(&mut sg.page, 4608, &[1, 2, 3, 4]);
    let message = caught(|| thread(|task| shash_ahash_digest(task.atomic().slots().user0, &sg, 4)));
    assert_eq!(message, "range start index 4608 out of range for slice of length 4096");
}
