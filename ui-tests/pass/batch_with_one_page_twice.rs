//! One page is in a batch twice, to be read.
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType, kmap_batch};
use prelude::*;

fn is_clear<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(slot: BatchSlot<'_, K, S>, page: &Frame) -> bool {
    kmap_batch(slot, [page, page]).expect("there is room for two").iter().all(|&byte| byte == 0)
}

fn main() {}
