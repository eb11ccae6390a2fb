//! The kernel's first instructions: from 32-bit mode, at their physical address and without paging, to 64-bit mode.
//!
//! How many levels the page tables have must be settled before: CR4.LA57 cannot be changed in 64-bit mode.

use core::arch::global_asm;

use super::IMAGE_BASE;
use crate::{boot, smp};

global_asm!(
    r#"
    .pushsection .text.boot, "ax", @progbits
    .code32
    .globl ap_start
ap_start:                                   # another CPU, from its trampoline
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %ebx, %ebx                         # in place of a start info

    .globl pvh_start
pvh_start:
    cli
    cld
    movl %ebx, %esi                         # start info; cpuid takes ebx

    movl $0x80000000, %eax
    cpuid
    subl $0x80000001, %eax                  # leaf 0x80000001 exists if this is small
    cmpl $0xffff, %eax
    ja unfit
    movl $0x80000001, %eax
    cpuid
    testl $(1 << 29), %edx                  # long mode
    jz unfit
    movl %edx, %edi
    shrl $20, %edi                          # NX
    andl $1, %edi                           # 1 if pages can be no-execute
    movl %edi, %ebp
    shll $11, %ebp
    orl $(1 << 8), %ebp
    movl $0xc0000080, %ecx                  # EFER
    rdmsr
    orl %ebp, %eax                          # LME, and NXE if there is NX
    wrmsr

    movl %cr4, %ebp
    orl $(1 << 5), %ebp                     # PAE
    xorl %eax, %eax
    cpuid
    cmpl $7, %eax
    jb four_levels
    movl $7, %eax
    xorl %ecx, %ecx
    cpuid
    testl $(1 << 16), %ecx                  # LA57
    jz four_levels
    orl $(1 << 12), %ebp                    # LA57
    movl $(boot_root_5 - {base}), %eax
    jmp enable_paging
four_levels:
    movl $(boot_root_4 - {base}), %eax
enable_paging:
    movl %ebp, %cr4
    movl %eax, %cr3
    movl %cr0, %eax
    orl $((1 << 31) | (1 << 16)), %eax      # PG, WP
    movl %eax, %cr0
    lgdt boot_gdt_pointer - {base}
    ljmp $8, $(long_mode - {base})

unfit:                                      # say why, and exit with failure
    movl $(unfit_text - {base}), %esi
    movw $0x3f8, %dx
0:  lodsb
    testb %al, %al
    jz 1f
    outb %al, %dx
    jmp 0b
1:  movl $17, %eax
    movw $0xf4, %dx
    outl %eax, %dx
    cli
    hlt

    .code64
long_mode:
    movq $upper_half, %rax
    jmp *%rax

upper_half:
    xorl %ebp, %ebp
    testl %esi, %esi
    jz another
    movq $boot_stack_top, %rsp
    xchgl %edi, %esi
    call {start}
    ud2

another:
    xorl %eax, %eax
    xchgq %rax, ap_stack
    testq %rax, %rax
    jz given_up
    movq %rax, %rsp
    call {enter}
    ud2
given_up:
    cli
    hlt
    jmp given_up
    .popsection

    .pushsection .data.boot, "aw", @progbits
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00209a0000000000                # code, 64-bit
boot_gdt_pointer:
    .word 15
    .long boot_gdt - {base}
    .popsection
    "#,
    base = const IMAGE_BASE,
    start = sym boot::start,
    enter = sym smp::enter,
    options(att_syntax)
);
