//! A slot type is left out by an attribute: its token would be that of another type.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod km {
        atomic {
            one: One,
            #[cfg(any())] // attack
            two: Two,
        }
    }
}

fn main() {
    assert_eq!(<km::Set as highmem::KmTypes>::NAMES, ["One", "Two"]);
}
