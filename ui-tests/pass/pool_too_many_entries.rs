//! `PoolEntries` is what a page table has.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct PoolOfItsOwn;

static OWN_FIXMAP: Fixmap<1> = Fixmap::new::<PoolOfItsOwn>();
static OWN_POOL: Pool<512> = Pool::new::<PoolOfItsOwn>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for PoolOfItsOwn {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U1;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    fn fixmap() -> &'static Fixmap<1> {
        &OWN_FIXMAP
    }
    kernel_of_a_process!();
}

// SAFETY: nothing is mapped.
unsafe impl PoolKernel for PoolOfItsOwn {
    type PoolEntries = typenum::U512;
    type Pool = Pool<512>;
    const PKMAP_BASE: usize = 0xff80_0000;
    fn pool() -> &'static Pool<512> {
        &OWN_POOL
    }
    pool_of_a_process!();
}

fn main() {
    assert_eq!(highmem::pool::stats::<PoolOfItsOwn>().entries, 512);
}
