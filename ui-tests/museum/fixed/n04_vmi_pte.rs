//! The mapping of an entry knows its physical address.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/hypervisor.rs"]
mod hypervisor;
use hypervisor::*;

/// Makes the entry of a page read only.
fn vmi_wrprotect(slot: Slot<'_, MyKernel, highmem::linux::Pte0>, space: &Space, address: usize) {
    let ptep = space.entry(slot, address).unwrap();
    let frame = ptep.leaf().unwrap().unwrap().pfn;
    mmu_update_at(ptep.physical_address(), frame.address() | 0x25);
}

fn main() {
    thread(|task| {
        let (space, _frames) = space(task);
        vmi_wrprotect(task.atomic().slots().pte0, &space, 0x1000);
    });
    let [(entry, value)] = updates()[..] else { panic!("not one update") };
    assert_eq!((entry % 4096, value), (8, 0x7025));
}
