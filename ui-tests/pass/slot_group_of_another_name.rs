//! A group of slots by the name of what makes it exclusive.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod km {
        irqsoff { rx: RxRing }
    }
}

fn main() {
    assert_eq!(<km::RxRing as KmType>::NAME, "RxRing");
}
