//! I07, KVM on i386: the variable for a mapped page has the name of the parameter, and is read in its place.
//!
//! Linux, `arch/x86/kvm/x86.c`, 2008. Fixed in c0b49b0d164. Seen: the diff.
//!
//! ```c
//! char *addr;
//! gpa = vcpu->arch.mmu.gva_to_gpa(vcpu, addr);
//! addr = kmap_atomic(page, KM_USER0);
//! ```
//!
//! The address that is translated is the variable's, which has no value yet. Here a mapping is no number, and nothing is read
//! before it is written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct Vcpu {
    /// The page at the guest's 0x1000.
    page: SharedFrame,
}

fn gva_to_gpa(_vcpu: &Vcpu, gva: usize) -> Option<usize> {
    (0x1000..0x2000).contains(&gva).then_some(gva)
}

fn emulator_cmpxchg_emulated(
    slot: Slot<'_, MyKernel, User0>,
    vcpu: &mut Vcpu,
    addr: usize,
    old: u32,
    new: u32,
) -> Option<bool> {
    let mut addr: KmapAtomic<'_, MyKernel, User0, &mut SharedFrame>;
    let gpa = gva_to_gpa(vcpu, addr)?;
    addr = kmap_atomic(slot, &mut vcpu.page);
    Some(addr.compare_exchange(gpa % highmem::PAGE_SIZE, old, new).ok()?.is_ok())
}

fn main() {
    let mut vcpu = Vcpu { page: user_frame(0) };
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        let mut cmpxchg = |addr, old, new| emulator_cmpxchg_emulated(slot.reborrow(), &mut vcpu, addr, old, new);
        assert_eq!(cmpxchg(0x1004, 0, 1), Some(true));
        assert_eq!(cmpxchg(0x1004, 0, 2), Some(false));
        assert_eq!(cmpxchg(0x2004, 0, 2), None);
        assert_eq!(kmap_atomic(slot, &vcpu.page).load::<u32>(4).unwrap(), 1);
    });
}
