//! The entries of the pool are written by somebody else.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let table = MyKernel::pool().table();
    assert_eq!((table as *const highmem::fixmap::PageTable).addr() % 4096, 0);
    *table = highmem::fixmap::PageTable::empty(); // attack
}
