//! As many as the table has.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// `LAST_PKMAP`: with huge pages a table has fewer entries.
type LastPkmap = typenum::U512;

struct MipsKernel;

static FIXMAP: Fixmap<1> = Fixmap::new::<MipsKernel>();
static POOL: Pool<512> = Pool::new::<MipsKernel>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for MipsKernel {
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

// SAFETY: nothing is mapped.
unsafe impl PoolKernel for MipsKernel {
    type PoolEntries = LastPkmap;
    type Pool = Pool<512>;
    const PKMAP_BASE: usize = 0xff80_0000;

    fn pool() -> &'static Pool<512> {
        &POOL
    }
    pool_of_a_process!();
}

fn main() {
    assert_eq!(highmem::pool::stats::<MipsKernel>().entries, 512);
}
