//! A batch is mapped while it is mapped: the first pages would be replaced under their guard.
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType, kmap_batch};
use prelude::*;

fn copy<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(mut slot: BatchSlot<'_, K, S>, to: &mut [Frame], from: &[Frame]) {
    let from = kmap_batch(slot.reborrow(), from).expect("there is room");
    let mut to = kmap_batch(slot.reborrow(), to).expect("there is room");
    to.copy_from_slice(&from);
}

fn main() {}
