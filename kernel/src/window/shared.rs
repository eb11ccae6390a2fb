//! One window for all CPUs, of which each has its own part.

use core::ffi::c_void;

use highmem::{Fixmap, Kernel as _};

use crate::kmap::ExampleKernel;
use crate::paging;

/// The page tables behind the window: the type.
pub type Tables = Fixmap<1>;

/// The page tables behind the window.
static FIXMAP: Tables = Fixmap::new::<ExampleKernel>();

/// What [`highmem::Kernel::fixmap`] asks for.
#[inline]
pub fn fixmap() -> &'static Tables {
    &FIXMAP
}

/// The first page table behind the window that CPU `_cpu` sees.
pub fn first_table(_cpu: usize) -> *const c_void {
    (&raw const FIXMAP).cast()
}

/// Links the window into the page tables.
pub fn link() {
    for (index, table) in FIXMAP.tables().iter().enumerate() {
        let address = ExampleKernel::FIXMAP_BASE + index * paging::TABLE_SPAN;
        // SAFETY: a table of highmem's, which answers for what its entries map.
        unsafe { paging::link_table(address, (&raw const *table).cast()) };
    }
}
