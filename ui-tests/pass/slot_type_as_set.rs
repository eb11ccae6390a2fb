//! A kernel names its set.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct SmallKernel;

static FIXMAP: Fixmap<1> = Fixmap::new::<SmallKernel>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for SmallKernel {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U1;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn main() {}
