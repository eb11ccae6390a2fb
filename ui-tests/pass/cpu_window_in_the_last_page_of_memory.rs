//! A window of each CPU's own, below the last page of all addresses, which no Rust value may lie in.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::fixmap::CpuFixmap;

struct HighKernel;

static FIXMAP: CpuFixmap<1> = CpuFixmap::new::<HighKernel>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for HighKernel {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U64;
    type Machine = highmem::machine::X86;
    type Fixmap = CpuFixmap<1>;
    const FIXMAP_BASE: usize = 0_usize.wrapping_sub(4 << 20);
    fn fixmap() -> &'static CpuFixmap<1> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn main() {
    assert_eq!(FIXMAP.tables().len(), 1);
}
