//! A batch is made of pages that it would have to keep: they are freed, or others', while they are mapped.
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType, kmap_batch};
use prelude::*;

fn clear<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(slot: BatchSlot<'_, K, S>, pages: [Frame; 2]) {
    drop(kmap_batch(slot, pages));
}

fn main() {}
