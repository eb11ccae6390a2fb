//! One page is in a batch twice, to be written: two parts of one `&mut [u8]` are the same bytes.
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType, kmap_batch};
use prelude::*;

fn clear<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(slot: BatchSlot<'_, K, S>, page: &mut Frame) {
    kmap_batch(slot, [&mut *page, &mut *page]).expect("there is room for two").fill(0);
}

fn main() {}
