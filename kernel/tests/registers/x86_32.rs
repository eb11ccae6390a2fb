//! Holding the registers of 32-bit mode.

use core::arch::global_asm;

// Every register, and the direction flag, holds a value of its own for as many rounds as ecx says; the result is 0
// if they all still do at the end.
global_asm!(
    ".globl hold_registers",
    "hold_registers:",
    "push ebp",
    "push ebx",
    "push esi",
    "push edi",
    "mov ecx, [esp + 20]",
    "mov eax, 0xa1a2a3a4",
    "mov ebx, 0xb1b2b3b4",
    "mov edx, 0xd1d2d3d4",
    "mov esi, 0x51525354",
    "mov edi, 0x61626364",
    "mov ebp, 0x71727374",
    "std",
    "hold_registers_round:",
    "pause",
    "dec ecx",
    "jnz hold_registers_round",
    "pushfd",
    "cld",
    "xor eax, 0xa1a2a3a4",
    "xor ebx, 0xb1b2b3b4",
    "xor edx, 0xd1d2d3d4",
    "xor esi, 0x51525354",
    "xor edi, 0x61626364",
    "xor ebp, 0x71727374",
    "or eax, ebx",
    "or eax, ecx",
    "or eax, edx",
    "or eax, esi",
    "or eax, edi",
    "or eax, ebp",
    "pop ecx",
    "not ecx",
    "and ecx, 0x400", // the direction flag was set
    "or eax, ecx",
    "pop edi",
    "pop esi",
    "pop ebx",
    "pop ebp",
    "ret",
);

unsafe extern "C" {
    /// Holds the values for so many rounds, and gives the bits that changed.
    pub safe fn hold_registers(rounds: u32) -> u32;
}
