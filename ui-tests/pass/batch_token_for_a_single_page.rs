//! A batch is used for a single page.
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType, kmap_batch};
use prelude::*;

fn clear<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(slot: BatchSlot<'_, K, S>, page: &mut Frame) {
    kmap_batch(slot, [page]).expect("there is room for one").fill(0);
}

fn main() {}
