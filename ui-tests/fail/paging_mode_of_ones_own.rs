//! A paging mode of one's own: its entries would be written by code that knows nothing of their order.
#[path = "../prelude.rs"]
mod prelude;
use highmem::machine::Machine;
use highmem::paging::Paging;
use highmem::paging::Protection;
use prelude::*;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Pse36;

impl Paging for Pse36 {
    const PFN_BITS: u32 = 24;
    const ENTRIES_PER_TABLE: usize = 1024;
    const PAE: bool = false;
    const LONG_MODE: bool = false;
    type Entry = u32;
    fn entry(pfn: usize, _: Protection) -> u32 {
        pfn as u32
    }
    unsafe fn is_empty<M: Machine>(_: *const u32) -> bool {
        true
    }
    unsafe fn set<M: Machine>(_: *mut u32, _: u32) {}
    unsafe fn get<M: Machine>(_pte: *const u32) -> Option<(usize, bool)> {
        None
    }
    unsafe fn clear<M: Machine>(_: *mut u32) {}
}

fn main() {
    assert_eq!(<Pae as Paging>::PFN_BITS, 32);
}
