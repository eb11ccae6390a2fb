//! Caches that go by virtual addresses, in a kernel that writes back what they have, and drops it, before and after.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct ViptKernel;

static FIXMAP: Fixmap<1> = Fixmap::new::<ViptKernel>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for ViptKernel {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U1;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    const CACHES_ALIAS: bool = true;
    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }
    fn before_access(_pfn: Pfn<Pae>, address: usize, _writable: bool) {
        write_back_and_drop(address);
    }
    fn after_writes(address: usize) {
        write_back_and_drop(address);
    }
    kernel_of_a_process!();
}

/// The processor's caches no longer have what is at this address.
fn write_back_and_drop(_address: usize) {}

fn clear(slot: Slot<'_, ViptKernel, User0>, page: &mut Frame) {
    kmap_atomic(slot, page).fill(0);
}

fn main() {
    let _: fn(_, _) = clear;
}
