//! A paging mode of the crate.
#[path = "../prelude.rs"]
mod prelude;
use highmem::paging::Paging;
use prelude::*;

fn main() {
    assert_eq!(<Pae as Paging>::PFN_BITS, 32);
}
