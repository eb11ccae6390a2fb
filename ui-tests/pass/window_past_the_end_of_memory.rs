//! The window ends with the last address.
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
    const FIXMAP_BASE: usize = 0_usize.wrapping_sub(4 << 20);
    fn fixmap() -> &'static Fixmap<2> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn main() {
    assert_eq!(FIXMAP.tables().len(), 2);
}
