//! A slot type that the set leaves out by an attribute, so that one of another module takes its place.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod km {
        atomic {
            #[cfg(any())] // attack
            string: String,
        }
    }
}

fn main() {
    assert_eq!(<km::String as KmType>::NAME, "String");
}
