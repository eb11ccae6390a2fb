//! Two slots of one name: each would have the other's token.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod km {
        atomic { source: Source }
        irqsoff { rx: Source }
    }
}

fn main() {
    assert_eq!(km::Source::NAME, "Source");
}
