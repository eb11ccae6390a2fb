//! N03, a guest of Xen: the machine address of a page-table entry is computed from where `kmap_atomic()` put it.
//!
//! Linux, `arch/x86/xen/mmu.c`, 2008. Fixed in 9f32d21c981. Seen: the diff.
//!
//! ```c
//! ptep = ... kmap_atomic(table) ...;
//! update.ptr = virt_to_machine(ptep);      /* INVALID_MFN */
//! ```
//!
//! The guest crashed when it booted; the repair walks the page tables, to find what the pointer does not say. Here it is the guard that says
//! which frame it maps.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/hypervisor.rs"]
mod hypervisor;
use hypervisor::*;

/// Sets an entry of a table in high memory.
fn xen_set_pte(slot: Slot<'_, MyKernel, highmem::linux::Pte0>, table: &mut Frame, index: usize, value: u64) {
    let mut entries = kmap_atomic(slot, table);
    let ptep = &mut entries.view_slice_mut::<u64>(0, 512).unwrap()[index];
    if *ptep != value {
        mmu_update(ptep, 0, value);
    }
}

fn main() {
    let mut table = frame(3);
    put(&mut table, 8, &0x1025_u64.to_le_bytes());
    thread(|task| {
        let mut atomic = task.atomic();
        xen_set_pte(atomic.slots().pte0, &mut table, 1, 0x1025);
        xen_set_pte(atomic.slots().pte0, &mut table, 2, 0x2025);
    });
    assert_eq!(updates(), [(0x3010, 0x2025)]);
}
