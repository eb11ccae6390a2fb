//! A slot that is called `K` is a slot as others are.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod km {
        atomic { k: K }
        irqsoff { me: Me }
    }
}
use km::Me;

static FIXMAP: Fixmap<1> = Fixmap::new::<Me>();

// SAFETY: nothing is mapped.
unsafe impl Kernel for Me {
    type Paging = Pae;
    type KmTypes = km::Set;
    type Cpus = typenum::U1;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

fn main() {
    // SAFETY: the one thread of this case.
    unsafe {
        highmem::Task::<Me>::enter(|task| {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            let interrupt_slot: Slot<'_, Me, km::K> = slots.k;
            drop(interrupt_slot);
        });
    }
}
