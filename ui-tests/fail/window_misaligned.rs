//! The window begins in the middle of what a page table covers: the entries would be those of other addresses.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct OffKernel;

static FIXMAP: Fixmap<1> = Fixmap::new::<OffKernel>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for OffKernel {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U1;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_1000;
    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn main() {
    assert_eq!(FIXMAP.tables().len(), 1);
}
