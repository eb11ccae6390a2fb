//! The kernel's first instructions, at their physical address and without paging.

use core::arch::global_asm;

use super::IMAGE_BASE;
use crate::{boot, paging, smp};

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
    xorl %edi, %edi                         # 1 if pages can be no-execute

    movl $1, %eax
    cpuid
    testl ${feature}, %edx
    jz unfit

    .if {nx}
    movl $0x80000000, %eax
    cpuid
    subl $0x80000001, %eax                  # leaf 0x80000001 exists if this is small
    cmpl $0xffff, %eax
    ja enable_paging
    movl $0x80000001, %eax
    cpuid
    testl $(1 << 20), %edx                  # NX
    jz enable_paging
    movl $0xc0000080, %ecx                  # EFER
    rdmsr
    orl $(1 << 11), %eax                    # NXE
    wrmsr
    movl $1, %edi
    .endif

enable_paging:                              # all CPUs come here
    movl %cr4, %eax
    orl ${cr4}, %eax
    movl %eax, %cr4
    movl $(boot_root - {base}), %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $((1 << 31) | (1 << 16)), %eax      # PG, WP
    movl %eax, %cr0
    movl $upper_half, %eax
    jmp *%eax

upper_half:
    xorl %ebp, %ebp
    testl %esi, %esi
    jz another
    movl $boot_stack_top, %esp
    subl $8, %esp
    pushl %edi
    pushl %esi
    call {start}
    ud2

another:
    xorl %eax, %eax
    xchgl %eax, ap_stack
    testl %eax, %eax
    jz given_up
    movl %eax, %esp
    subl $12, %esp
    call {enter}
    ud2
given_up:
    cli
    hlt
    jmp given_up

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
    .popsection
    "#,
    base = const IMAGE_BASE,
    feature = const paging::BOOT_FEATURE,
    cr4 = const paging::BOOT_CR4,
    nx = const paging::NX_EXISTS as u32,
    start = sym boot::start,
    enter = sym smp::enter,
    options(att_syntax)
);
