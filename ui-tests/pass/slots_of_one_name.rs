//! Two slots, two names.
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
    assert_eq!(km::RxRing::NAME, "RxRing");
}
