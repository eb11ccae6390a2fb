//! The bytes of pages that others write are copied.
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType, kmap_batch};
use prelude::*;

fn first<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(slot: BatchSlot<'_, K, S>, pages: &mut [SharedFrame]) -> u8 {
    kmap_batch(slot, pages).expect("there is room").read_obj(0).expect("there is a byte")
}

fn main() {}
