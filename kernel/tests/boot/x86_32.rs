//! What `boot` has to know of 32-bit mode.

use highmem::paging::Paging as _;
use kernel::kmap::Paging;

/// How many levels the page tables should have.
pub fn expected_levels() -> u32 {
    if Paging::PFN_BITS == 20 { 2 } else { 3 }
}
