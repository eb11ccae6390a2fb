# A stub for each exception, all of 16 bytes. Those that have no code of their own get one.

    .pushsection .text.faults, "ax", @progbits
    .balign 16
    .globl fault_stubs
fault_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    pushl $0
    .endif
    pushl $vector
    jmp fault
    .set vector, vector + 1
    .endr

fault:                              # on the stack: vector, code, instruction, and more
    cmpl $14, (%esp)
    jne 1f
    cmpl $read_word_load, 8(%esp)
    jne 1f
    movl $read_word_end, 8(%esp)    # the load of `read_word`: it goes on at its end
    addl $8, %esp
    iret
1:  movl %esp, %eax
    andl $-16, %esp
    subl $12, %esp
    pushl %eax
    cld
    call report_fault
    ud2

    .globl read_word
read_word:                          # on the stack: return address, address, where to
    movl 4(%esp), %ecx
    movl 8(%esp), %edx
    xorl %eax, %eax
read_word_load:
    movl (%ecx), %ecx
    movl %ecx, (%edx)
    incl %eax
read_word_end:
    ret
    .popsection
