//! The page in which the data begins, if it ends there, and otherwise the way for several.
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
    let (index, offset) = (sg.offset / PAGE_SIZE, sg.offset % PAGE_SIZE);
    if nbytes <= sg.length.min(PAGE_SIZE - offset) {
        let page = kmap_atomic(slot, sg.page.page(index).unwrap());
        return sum(&page[offset..][..nbytes]);
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
    assert_eq!(thread(|task| shash_ahash_digest(task.atomic().slots().user0, &sg, 4)), 10);
    // Over the end of a page.
    let sg = Sg { offset: 4090, length: 64, ..sg };
    assert_eq!(thread(|task| shash_ahash_digest(task.atomic().slots().user0, &sg, 64)), 0);
}
