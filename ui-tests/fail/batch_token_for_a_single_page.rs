//! The token of a batch is used as one of a slot: the entry of which page would it be?
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType};
use prelude::*;

fn clear<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(slot: BatchSlot<'_, K, S>, page: &mut Frame) {
    kmap_atomic(slot, page).fill(0);
}

fn main() {}
