//! A window for each CPU: all at the same addresses, each behind page tables of its own.

use core::ffi::c_void;

use highmem::fixmap::CpuFixmap;
use highmem::{Kernel as _, Pfn};

use crate::kmap::ExampleKernel;
use crate::{cpu, paging};

/// The page tables behind the window of a CPU: the type.
pub type Tables = CpuFixmap<1>;

/// The page tables behind the window of each CPU.
static FIXMAPS: [Tables; cpu::MAX] = [const { CpuFixmap::new::<ExampleKernel>() }; _];

/// What [`highmem::Kernel::fixmap`] asks for: where the window shows its own tables.
#[inline]
pub fn fixmap() -> &'static Tables {
    // SAFETY: I9: `link` has had the tables of each CPU map themselves.
    unsafe { CpuFixmap::here::<ExampleKernel>() }
}

/// The first page table behind the window of CPU `cpu`.
pub fn first_table(cpu: usize) -> *const c_void {
    (&raw const FIXMAPS[cpu]).cast()
}

/// Links the window of each CPU into its own page tables.
pub fn link() {
    for (cpu, fixmap) in FIXMAPS.iter().enumerate() {
        let frame =
            Pfn::containing(paging::virt_to_phys(first_table(cpu) as usize)).expect("the image is within reach");
        // SAFETY: the one frame of the table, which is in the image; no CPU uses it yet.
        unsafe { fixmap.map_themselves::<ExampleKernel>([frame]) };
        for (index, table) in fixmap.tables().iter().enumerate() {
            let address = ExampleKernel::FIXMAP_BASE + index * paging::TABLE_SPAN;
            // SAFETY: a table of highmem's, which answers for what its entries map.
            unsafe { paging::link_table_of(cpu, address, (&raw const *table).cast()) };
        }
    }
}
