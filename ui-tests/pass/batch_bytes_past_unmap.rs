//! The bytes of a batch are used up to its end.
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType, kmap_batch, kunmap_batch};
use prelude::*;

fn first<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(slot: BatchSlot<'_, K, S>, pages: &[Frame]) -> u8 {
    let guard = kmap_batch(slot, pages).expect("there is room");
    let byte = guard[0];
    kunmap_batch(guard);
    byte
}

fn main() {}
