//! The kernel names a window of two page tables, and has one of one.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct BigKernel;

static FIXMAP: Fixmap<1> = Fixmap::new::<BigKernel>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for BigKernel {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U64;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<2>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    fn fixmap() -> &'static Fixmap<2> {
        static WINDOW: Fixmap<2> = Fixmap::new::<BigKernel>();
        &WINDOW
    }
    kernel_of_a_process!();
}

fn main() {
    assert_eq!(FIXMAP.tables().len(), 2);
}
