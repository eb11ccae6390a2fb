//! 64 CPUs with 13 slots each, and one page table behind the window: the last CPUs would write entries of something else.
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
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn main() {
    assert_eq!(FIXMAP.tables().len(), 2);
}
