//! A batch goes to another thread, and so to another CPU, which has other entries there.
#[path = "../prelude.rs"]
mod prelude;
use highmem::batch::{BatchSlot, BatchType, kmap_batch};
use prelude::*;

fn check<T: Send>(_: T) {}

fn send<K: Kernel<Paging = Pae>, S: BatchType<Set = K::KmTypes>>(slot: BatchSlot<'_, K, S>, pages: &[Frame]) {
    check(kmap_batch(slot, pages));
}

fn main() {}
