//! Into ring 3, and out of it again.

use core::arch::global_asm;

use x86::bits32::task::TaskStateSegment;
use x86::segmentation::{BuildDescriptor, Descriptor, DescriptorBuilder, GateDescriptorBuilder};

use super::UserFrame;
use crate::{gdt, user};

global_asm!(
    r#"
    .pushsection .text.user, "ax", @progbits
    .globl enter_user
enter_user:
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    movl 20(%esp), %esi                     # frame
    movl %esp, %ebx
    cli
    andl $-16, %esp
    subl $12, %esp
    pushl %ebx
    call {set_kernel_stack}
    movl %ebx, %esp
    subl ${size}, %esp
    movl %esp, %edi
    movl ${size} / 4, %ecx
    rep movsl
    jmp resume_user

    .globl leave_user
leave_user:                                 # as above, from a UserFrame on
    addl ${size}, %esp
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
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

/// One in which there is no stack yet, and, as it is made, no port that ring 3 may use.
pub(crate) const fn task_state() -> TaskState {
    let mut state = TaskState::new();
    state.ss0 = gdt::DATA.bits();
    state
}

/// The descriptor of the one at `base`, which takes one place, and one that is empty.
pub(crate) fn task_descriptor(base: usize) -> [Descriptor; 2] {
    let limit = size_of::<TaskState>() as u64 - 1;
    let segment = <DescriptorBuilder as GateDescriptorBuilder<u32>>::tss_descriptor(base as u64, limit, true);
    [segment.present().finish(), Descriptor::NULL]
}

/// Has the processor begin at `stack` when it comes out of ring 3.
///
/// # Safety
///
/// `state` may be written, and `stack` is what ring 3 was, or is going to be, entered from.
pub(crate) unsafe fn store_kernel_stack(state: *mut TaskState, stack: usize) {
    // SAFETY: by this function's contract; the structure is packed.
    unsafe { (&raw mut (*state).esp0).write_unaligned(stack as u32) }
}
