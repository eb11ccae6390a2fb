# From 32-bit to 64-bit mode: turns on PAE, long mode and paging, and calls `kernel_main`.

    .pushsection .text.boot, "ax", @progbits
    .code32
    .globl pvh_start
pvh_start:
    cld
    movl %cr4, %eax
    orl $(1 << 5), %eax             # PAE
    movl %eax, %cr4
    movl $fourth_level, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx          # EFER
    rdmsr
    orl $(1 << 8), %eax             # LME
    wrmsr
    movl %cr0, %eax
    orl $((1 << 31) | (1 << 16)), %eax      # PG; WP: read only is so for the kernel, too
    movl %eax, %cr0

    lgdt gdt_pointer
    ljmp $8, $1f
    .code64
1:  movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $stack_top, %esp
    movl %ebx, %edi
    call kernel_main
    ud2
    .popsection
