//! A batch is mapped, and when that has ended, again.
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType, kmap_batch};
use prelude::*;

fn clear<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(mut slot: BatchSlot<'_, K, S>, to: &mut [Frame], from: &mut [Frame]) {
    kmap_batch(slot.reborrow(), from).expect("there is room").fill(0);
    kmap_batch(slot.reborrow(), to).expect("there is room").fill(0);
}

fn main() {}
