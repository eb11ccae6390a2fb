//! A slot of the kernel's own set.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod dma {
        atomic { rx_ring: RxRing }
    }
}

fn map(slot: Slot<'_, MyKernel, User0>, page: Frame) {
    let _mapped = kmap_atomic(slot, page);
}

fn main() {
    thread(|task| map(task.atomic().slots().user0, frame(0)));
}
