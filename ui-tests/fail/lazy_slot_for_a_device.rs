//! The registers of a device are mapped in a lazy slot, where they would stay after the device is gone.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::DeviceFrame;

highmem::km_types! {
    mod km {
        atomic { kept: Kept lazy }
    }
}

struct LazyKernel;

static FIXMAP: Fixmap<1> = Fixmap::new::<LazyKernel>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for LazyKernel {
    type Paging = Pae;
    type KmTypes = km::Set;
    type Cpus = typenum::U4;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn acknowledge(slot: Slot<'_, LazyKernel, km::Kept>, registers: &mut DeviceFrame<Pae>) {
    kmap_atomic(slot, registers).store(0, 1_u32).unwrap();
}

fn main() {
    let _: fn(_, _) = acknowledge;
}
