//! From one thread's stack to another's.

use core::arch::global_asm;

/// How many registers a switch leaves on the stack, below the return address.
pub(crate) const SAVED_REGISTERS: usize = 4;

global_asm!(
    r#"
    .pushsection .text.switch, "ax", @progbits
    .globl switch_stacks
switch_stacks:
    movl 4(%esp), %eax                      # from
    movl 8(%esp), %ecx                      # to
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    movl %esp, (%eax)
    movl %ecx, %esp
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    ret
    .popsection
    "#,
    options(att_syntax)
);

unsafe extern "C" {
    /// Puts what a function preserves on the stack, notes in `from` where it is, and goes on at what was noted in `to`.
    ///
    /// # Safety
    ///
    /// `to` was noted by a switch away from a stack that nobody has used since, or points to [`SAVED_REGISTERS`] words, the address of a
    /// function that does not return, and one word more. `from` may be written.
    pub(crate) fn switch_stacks(from: *mut usize, to: usize);
}
