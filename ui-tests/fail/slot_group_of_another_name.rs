//! A group of slots that no context hands out.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod km {
        hardirq { rx: RxRing }
    }
}

fn main() {
    assert_eq!(<km::RxRing as KmType>::NAME, "RxRing");
}
