//! S03, ARM: with a debug option there were twice as many slots, and no room for them.
//!
//! Linux, `arch/arm/Kconfig`, 2021. Fixed in d624833f5984 (CVE-2021-46910). Seen: its title.
//!
//! ```c
//! NR_CPUS * KM_MAX_IDX > pages of the fixmap   /* KM_MAX_IDX is twice as large with DEBUG_KMAP_LOCAL */
//! ```
//!
//! The last CPUs wrote entries of something else. The fix limits the number of CPUs with that option. Here the window's size is compared
//! with what is to be in it, fences included, when the kernel is compiled, and the message has the numbers.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// As many CPUs as the kernel is configured for.
type NrCpus = typenum::U40;

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
