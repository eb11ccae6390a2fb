//! N04, VMI: the hypervisor wants to hear the physical address of an entry, and the pointer has lost it.
//!
//! Linux, `include/asm-i386/pgtable.h`, 2007. Fixed in 9a1c13e91f1 and ce6234b5298. Seen: the diff.
//!
//! ```c
//! p = kmap_atomic(pmd_page, KM_PTE0) + i;
//! set_pte(p);      /* hypervisor needs paddr */
//! ```
//!
//! The repair tells the hypervisor about each mapping when it is made. Here the mapping of an entry knows where the entry is.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/hypervisor.rs"]
mod hypervisor;
use hypervisor::*;

/// Makes the entry of a page read only.
fn vmi_wrprotect(slot: Slot<'_, MyKernel, highmem::linux::Pte0>, space: &Space, address: usize) {
    let ptep = space.entry(slot, address).unwrap();
    let frame = ptep.leaf().unwrap().unwrap().pfn;
    mmu_update_at(&ptep, frame.address() | 0x25);
}

fn main() {
    thread(|task| {
        let (space, _frames) = space(task);
        vmi_wrprotect(task.atomic().slots().pte0, &space, 0x1000);
    });
    let [(entry, value)] = updates()[..] else { panic!("not one update") };
    assert_eq!((entry % 4096, value), (8, 0x7025));
}
