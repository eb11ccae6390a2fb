//! E06, KVM: the control block of a nested guest stays mapped atomically while CR3 is set.
//!
//! Linux, `arch/x86/kvm/svm.c`, 2010. Fixed in 7597f129d8b. Seen: the diff.
//!
//! ```c
//! vmcb = nested_map(gpa, KM_USER0);
//! ...
//! kvm_set_cr3();                   /* sleeps, faults */
//! ```
//!
//! The mapping was made in one function, and is far away where something sleeps; the fix is `kmap()`. Here the distance does not matter:
//! the task is borrowed until the control block is unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/svm.rs"]
mod svm;
use svm::*;

fn nested_svm_vmrun(task: &mut Task<'_>, vcpu: &mut Vcpu, page: &Frame) {
    let mut atomic = task.atomic();
    let nested_vmcb = kmap_atomic(atomic.slots().user0, page);
    kvm_set_cr3(task, vcpu, *nested_vmcb.view(SAVE_CR3).expect("aligned"));
    vcpu.rip = *nested_vmcb.view(SAVE_RIP).expect("aligned");
}

fn main() {
    let (mut page, mut vcpu) = (frame(0), Vcpu::default());
    put(&mut page, SAVE_CR3, &0x12_3000_u32.to_ne_bytes());
    put(&mut page, SAVE_RIP, &0x7c00_u32.to_ne_bytes());
    thread(|task| nested_svm_vmrun(task, &mut vcpu, &page));
    assert_eq!((vcpu.cr3, vcpu.rip), (0x12_3000, 0x7c00));
}
