//! A page goes back to where it came from when the batch has ended.
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType, kmap_batch, kunmap_batch};
use prelude::*;

fn give_back<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(slot: BatchSlot<'_, K, S>, mut page: Frame) {
    let mut bytes = kmap_batch(slot, [&mut page]).expect("there is room for one");
    bytes.fill(0);
    kunmap_batch(bytes);
    page.into_pfn();
}

fn main() {}
