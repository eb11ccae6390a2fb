//! Two slots of one group whose tokens have the same name.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod km {
        atomic {
            page: Source,
            page: Target,
        }
    }
}

fn main() {
    assert_eq!(km::Target::NAME, "Target");
}
