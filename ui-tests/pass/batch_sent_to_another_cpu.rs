//! The pages of a batch go to another thread, which has a batch of its own.
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType, kmap_batch};
use prelude::*;

fn check<T: Send>(_: T) {}

fn send<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(slot: BatchSlot<'_, K, S>, pages: &[Frame]) {
    drop(kmap_batch(slot, pages));
    check(pages);
}

fn main() {}
