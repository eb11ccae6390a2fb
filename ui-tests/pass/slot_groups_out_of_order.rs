//! The groups of slots are in the order of the contexts.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod km {
        atomic { source: Source }
        irqsoff { rx: RxRing }
    }
}

fn main() {
    assert_eq!(<km::Source as KmType>::NAME, "Source");
}
