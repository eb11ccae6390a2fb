//! 64 CPUs with 13 slots each, and two page tables behind the window.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct BigKernel;

static FIXMAP: Fixmap<2> = Fixmap::new::<BigKernel>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for BigKernel {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U64;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<2>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    fn fixmap() -> &'static Fixmap<2> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn main() {
    assert_eq!(FIXMAP.tables().len(), 2);
}
