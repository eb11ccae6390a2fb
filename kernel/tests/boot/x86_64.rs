//! What `boot` has to know of 64-bit mode.

use core::arch::global_asm;

use x86::cpuid::CpuId;

/// How many levels the page tables should have: five, if the CPU can.
pub fn expected_levels() -> u32 {
    let features = CpuId::new().get_extended_feature_info();
    if features.is_some_and(|features| features.has_la57()) { 5 } else { 4 }
}

// Every register, and the direction flag, holds a value of its own for as many rounds as the argument says; the result is 0
// if they all still do at the end. What differs is collected on the stack.
global_asm!(
    ".globl hold_registers",
    "hold_registers:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov ecx, edi",
    "mov rax, 0xa1a2a3a4a5a6a700",
    "mov rbx, 0xa1a2a3a4a5a6a711",
    "mov rdx, 0xa1a2a3a4a5a6a722",
    "mov rsi, 0xa1a2a3a4a5a6a733",
    "mov rdi, 0xa1a2a3a4a5a6a744",
    "mov rbp, 0xa1a2a3a4a5a6a755",
    "mov r8, 0xa1a2a3a4a5a6a766",
    "mov r9, 0xa1a2a3a4a5a6a777",
    "mov r10, 0xa1a2a3a4a5a6a788",
    "mov r11, 0xa1a2a3a4a5a6a799",
    "mov r12, 0xa1a2a3a4a5a6a7aa",
    "mov r13, 0xa1a2a3a4a5a6a7bb",
    "mov r14, 0xa1a2a3a4a5a6a7cc",
    "mov r15, 0xa1a2a3a4a5a6a7dd",
    "std",
    "hold_registers_round:",
    "pause",
    "dec ecx",
    "jnz hold_registers_round",
    "pushfq",
    "cld",
    "push rcx",
    "mov rcx, 0xa1a2a3a4a5a6a700",
    "xor rax, rcx",
    "or [rsp], rax",
    "mov rcx, 0xa1a2a3a4a5a6a711",
    "xor rbx, rcx",
    "or [rsp], rbx",
    "mov rcx, 0xa1a2a3a4a5a6a722",
    "xor rdx, rcx",
    "or [rsp], rdx",
    "mov rcx, 0xa1a2a3a4a5a6a733",
    "xor rsi, rcx",
    "or [rsp], rsi",
    "mov rcx, 0xa1a2a3a4a5a6a744",
    "xor rdi, rcx",
    "or [rsp], rdi",
    "mov rcx, 0xa1a2a3a4a5a6a755",
    "xor rbp, rcx",
    "or [rsp], rbp",
    "mov rcx, 0xa1a2a3a4a5a6a766",
    "xor r8, rcx",
    "or [rsp], r8",
    "mov rcx, 0xa1a2a3a4a5a6a777",
    "xor r9, rcx",
    "or [rsp], r9",
    "mov rcx, 0xa1a2a3a4a5a6a788",
    "xor r10, rcx",
    "or [rsp], r10",
    "mov rcx, 0xa1a2a3a4a5a6a799",
    "xor r11, rcx",
    "or [rsp], r11",
    "mov rcx, 0xa1a2a3a4a5a6a7aa",
    "xor r12, rcx",
    "or [rsp], r12",
    "mov rcx, 0xa1a2a3a4a5a6a7bb",
    "xor r13, rcx",
    "or [rsp], r13",
    "mov rcx, 0xa1a2a3a4a5a6a7cc",
    "xor r14, rcx",
    "or [rsp], r14",
    "mov rcx, 0xa1a2a3a4a5a6a7dd",
    "xor r15, rcx",
    "or [rsp], r15",
    "pop rax",
    "pop rcx",
    "not ecx",
    "and ecx, 0x400", // the direction flag was set
    "or rcx, rax",
    "xor eax, eax",
    "test rcx, rcx",
    "setnz al",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
);

unsafe extern "C" {
    /// Holds the values for so many rounds, and gives 0 if they are all still there.
    pub safe fn hold_registers(rounds: u32) -> u32;
}
