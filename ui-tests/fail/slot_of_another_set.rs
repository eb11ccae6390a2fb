//! A slot of a set that this kernel does not use.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod dma {
        atomic { rx_ring: RxRing }
    }
}

fn map(slot: Slot<'_, MyKernel, dma::RxRing>, page: Frame) {
    let _mapped = kmap_atomic(slot, page);
}

fn main() {
    let _: fn(Slot<'_, MyKernel, dma::RxRing>, Frame) = map;
}
