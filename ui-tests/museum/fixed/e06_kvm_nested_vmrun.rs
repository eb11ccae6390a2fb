//! The control block is mapped in the pool, under which the task may sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/svm.rs"]
mod svm;
use svm::*;

fn nested_svm_vmrun(task: &mut Task<'_>, vcpu: &mut Vcpu, page: &Frame) {
    let (nested_vmcb, task) = kmap(task, page).expect("this kernel does not interrupt waits");
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
