# A stub for each exception, all of 16 bytes. Those that have no code of their own get one.

    .pushsection .text.faults, "ax", @progbits
    .balign 16
    .globl fault_stubs
fault_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    pushq $0
    .endif
    pushq $vector
    jmp fault
    .set vector, vector + 1
    .endr

fault:                              # on the stack: vector, code, instruction, and more
    cmpq $14, (%rsp)
    jne 1f
    cmpq $read_word_load, 16(%rsp)
    jne 1f
    movq $read_word_end, 16(%rsp)   # the load of `read_word`: it goes on at its end
    addq $16, %rsp
    iretq
1:  movq %rsp, %rdi
    andq $-16, %rsp
    cld
    call report_fault
    ud2

    .globl read_word
read_word:                          # rdi: address, rsi: where to
    xorl %eax, %eax
read_word_load:
    movq (%rdi), %rdi
    movq %rdi, (%rsi)
    incl %eax
read_word_end:
    ret
    .popsection
