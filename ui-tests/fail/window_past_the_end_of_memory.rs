//! The window's second page table would stand for addresses past the last one.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct HighKernel;

static FIXMAP: Fixmap<2> = Fixmap::new::<HighKernel>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for HighKernel {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U64;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<2>;
    const FIXMAP_BASE: usize = 0_usize.wrapping_sub(2 << 20);
    fn fixmap() -> &'static Fixmap<2> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn main() {
    assert_eq!(FIXMAP.tables().len(), 2);
}
