//! The groups of slots are in another order than the contexts.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod km {
        irqsoff { rx: RxRing }
        atomic { source: Source }
    }
}

fn main() {
    assert_eq!(<km::Source as KmType>::NAME, "Source");
}
