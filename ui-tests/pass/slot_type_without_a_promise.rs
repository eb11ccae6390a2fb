//! Slot types come out of `km_types!`, each with its own place.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    mod km {
        atomic { mine: Mine }
    }
}
use km::Mine;

fn main() {
    assert_eq!(Mine::NAME, "Mine");
}
