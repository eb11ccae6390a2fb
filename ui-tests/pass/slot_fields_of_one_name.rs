//! Two slots of one group, two names.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod km {
        atomic {
            page: Source,
            copy: Target,
        }
    }
}

fn main() {
    assert_eq!(km::Target::NAME, "Target");
}
