//! A window of each CPU's own: however many CPUs there are, one page table each is enough.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::fixmap::CpuFixmap;

struct ManyCpus;

static FIXMAP: CpuFixmap<1> = CpuFixmap::new::<ManyCpus>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for ManyCpus {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U64;
    type Machine = highmem::machine::X86;
    type Fixmap = CpuFixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    fn fixmap() -> &'static CpuFixmap<1> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn main() {
    assert_eq!(FIXMAP.tables().len(), 1);
}
