//! Page-table isolation, in a kernel that says how the translations of other PCIDs are forgotten.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::tlb::Translations;

struct TaggedKernel;

static FIXMAP: Fixmap<2> = Fixmap::new::<TaggedKernel>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for TaggedKernel {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U64;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<2>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    const TRANSLATIONS: Translations = Translations::Tagged;
    fn forget_in_other_spaces(_address: usize) {
        // This kernel loads CR3 with preemption on only.
    }
    fn fixmap() -> &'static Fixmap<2> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn clear(slot: Slot<'_, TaggedKernel, User0>, page: &mut Frame) {
    kmap_atomic(slot, page).fill(0);
}

fn main() {
    let _: fn(_, _) = clear;
}
