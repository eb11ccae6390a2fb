//! As many CPUs as there is room for.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// As many CPUs as the kernel is configured for.
type NrCpus = typenum::U16;

struct ArmKernel;

static FIXMAP: Fixmap<1> = Fixmap::new::<ArmKernel>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for ArmKernel {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = NrCpus;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;

    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn main() {
    assert_eq!(FIXMAP.tables().len(), 1);
}
