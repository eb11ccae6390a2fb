//! The guard says which page it has mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/hypervisor.rs"]
mod hypervisor;
use hypervisor::*;

/// Sets an entry of a table in high memory.
fn xen_set_pte(slot: Slot<'_, MyKernel, highmem::linux::Pte0>, table: &mut Frame, index: usize, value: u64) {
    let entries = kmap_atomic(slot, table);
    let pte = entries.view_slice::<u64>(0, 512).unwrap()[index];
    if pte != value {
        mmu_update(entries.page(), index, value);
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
