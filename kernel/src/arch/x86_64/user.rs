//! Into ring 3, and out of it again.

use core::arch::global_asm;
use core::mem;

use x86::bits64::segmentation::Descriptor64;
use x86::bits64::task::TaskStateSegment;
use x86::segmentation::{BuildDescriptor, Descriptor, DescriptorBuilder, GateDescriptorBuilder};

use super::UserFrame;
use crate::user;

global_asm!(
    r#"
    .pushsection .text.user, "ax", @progbits
    .globl enter_user
enter_user:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp                           # the processor pushes from a multiple of 16 on
    movq %rdi, %rbx                         # frame
    cli
    movq %rsp, %rdi
    call {set_kernel_stack}
    subq ${size}, %rsp
    movq %rsp, %rdi
    movq %rbx, %rsi
    movl ${size} / 8, %ecx
    rep movsq
    jmp resume_user

    .globl leave_user
leave_user:                                 # as above, from a UserFrame on
    addq ${size} + 8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .popsection
    "#,
    size = const size_of::<UserFrame>(),
    set_kernel_stack = sym user::set_kernel_stack,
    options(att_syntax)
);

unsafe extern "C" {
    /// Goes on in ring 3 with the registers in `frame`, until there is a trap for which [`trap::from_user`](crate::trap::from_user) says
    /// that ring 3 is left. Comes back with interrupts off.
    ///
    /// # Safety
    ///
    /// The thread has an address space, and may sleep.
    pub(crate) fn enter_user(frame: *const UserFrame);
}

/// What the processor finds the kernel's stack in.
pub(crate) type TaskState = TaskStateSegment;

/// One in which there is no stack yet, and no port that ring 3 may use.
pub(crate) const fn task_state() -> TaskState {
    let mut state = TaskState::new();
    state.iomap_base = size_of::<TaskState>() as u16;
    state
}

/// The descriptor of the one at `base`, which takes two places.
pub(crate) fn task_descriptor(base: usize) -> [Descriptor; 2] {
    let limit = size_of::<TaskState>() as u64 - 1;
    let segment = <DescriptorBuilder as GateDescriptorBuilder<u64>>::tss_descriptor(base as u64, limit, true);
    let descriptor: Descriptor64 = segment.present().finish();
    // SAFETY: both are numbers, of 16 bytes.
    unsafe { mem::transmute(descriptor) }
}

/// Has the processor begin at `stack` when it comes out of ring 3.
///
/// # Safety
///
/// `state` may be written, and `stack` is what ring 3 was, or is going to be, entered from.
pub(crate) unsafe fn store_kernel_stack(state: *mut TaskState, stack: usize) {
    // SAFETY: by this function's contract; the structure is packed.
    unsafe { (&raw mut (*state).rsp).cast::<u64>().write_unaligned(stack as u64) }
}
