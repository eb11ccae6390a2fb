//! A batch borrows its pages.
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType, kmap_batch};
use prelude::*;

fn clear<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(slot: BatchSlot<'_, K, S>, mut pages: [Frame; 2]) {
    kmap_batch(slot, &mut pages).expect("there is room for two").fill(0);
}

fn main() {}
