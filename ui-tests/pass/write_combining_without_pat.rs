//! A kernel that loads a PAT with all types, and says so.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::DeviceFrame;
use highmem::page::WriteCombining;
use highmem::paging::Pat;

struct PatKernel;

static FIXMAP: Fixmap<1> = Fixmap::new::<PatKernel>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for PatKernel {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U1;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    const PAT: Pat = Pat::ALL_TYPES;
    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn draw(slot: Slot<'_, PatKernel, User0>, line: &mut DeviceFrame<Pae, WriteCombining>) {
    kmap_atomic(slot, line).write_at(0, &[0xff; 4096]).unwrap();
}

fn main() {
    let _: fn(_, _) = draw;
}
