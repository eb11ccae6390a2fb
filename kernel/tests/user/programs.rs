//! What the tests run in ring 3: the same text in 32-bit and in 64-bit mode, where user addresses fit into 32 bits.

use core::arch::global_asm;
use core::ffi::c_void;

use kernel::user::{call, layout};

#[cfg(target_arch = "x86")]
macro_rules! r {
    () => {
        "e"
    };
}
#[cfg(target_arch = "x86_64")]
macro_rules! r {
    () => {
        "r"
    };
}

global_asm!(
    ".pushsection .user, \"a\"",
    // Ends with the exit code in ebx.
    ".globl user_exit",
    "user_exit:",
    "mov eax, {exit}",
    "int 0x80",
    "ud2",
    // Reads the byte at ebx, and ends with it.
    ".globl user_peek",
    "user_peek:",
    concat!("movzx ebx, byte ptr [", r!(), "bx]"),
    "jmp user_exit",
    // Writes cl to ebx.
    ".globl user_poke",
    "user_poke:",
    concat!("mov byte ptr [", r!(), "bx], cl"),
    "xor ebx, ebx",
    "jmp user_exit",
    // Goes on at ebx.
    ".globl user_jump",
    "user_jump:",
    concat!("jmp ", r!(), "bx"),
    // Makes the system call ebx with the arguments ecx and edx, and ends with its result.
    ".globl user_call",
    "user_call:",
    concat!("mov ", r!(), "ax, ", r!(), "bx"),
    concat!("mov ", r!(), "bx, ", r!(), "cx"),
    concat!("mov ", r!(), "cx, ", r!(), "dx"),
    "int 0x80",
    "mov ebx, eax",
    "jmp user_exit",
    // Looks whether ebx pages are zero, and ends with 0 if so.
    ".globl user_zeros",
    "user_zeros:",
    "mov ecx, ebx",
    "shl ecx, 10",
    "mov edi, {memory}",
    "xor eax, eax",
    "xor ebx, ebx",
    "cld",
    "repe scasd",
    "setne bl",
    "jmp user_exit",
    // Writes every word of ebp pages, and looks whether it is so, with a seed in esi.
    ".macro fill",
    "mov edi, {memory}",
    "mov ecx, ebp",
    "shl ecx, 10",
    "1: imul eax, edi, 0x9e3779b1",
    "xor eax, esi",
    "mov [edi], eax",
    "add edi, 4",
    "dec ecx",
    "jnz 1b",
    ".endm",
    ".macro verify code",
    "mov ebx, \\code",
    "mov edi, {memory}",
    "mov ecx, ebp",
    "shl ecx, 10",
    "1: imul eax, edi, 0x9e3779b1",
    "xor eax, esi",
    "cmp [edi], eax",
    "jne user_exit",
    "add edi, 4",
    "dec ecx",
    "jnz 1b",
    ".endm",
    // Forks with ebx pages written. The child looks at them, and writes its own; then the parent looks, and writes its own.
    ".globl user_child_first",
    "user_child_first:",
    "mov ebp, ebx",
    "mov esi, 0x11111111",
    "fill",
    "mov eax, {fork}",
    "int 0x80",
    "test eax, eax",
    "jz child",
    "mov eax, {wait}",
    "xor ebx, ebx",
    "xor ecx, ecx",
    "int 0x80",
    "verify 1",
    "mov esi, 0x33333333",
    "fill",
    "verify 2",
    "mov ebx, 0",
    "jmp user_exit",
    "child:",
    "verify 3",
    "mov esi, 0x22222222",
    "fill",
    "verify 4",
    "mov eax, {report}",
    "mov ebx, 1",
    "mov ecx, ebp",
    "int 0x80",
    "mov ebx, 0",
    "jmp user_exit",
    // The same, but the parent writes at once. Ends with the child's exit code.
    ".globl user_parent_first",
    "user_parent_first:",
    "mov ebp, ebx",
    "mov esi, 0x11111111",
    "fill",
    "mov eax, {fork}",
    "int 0x80",
    "test eax, eax",
    "jz child",
    "mov esi, 0x33333333",
    "fill",
    "mov eax, {wait}",
    "xor ebx, ebx",
    "mov ecx, {stack} - 8",
    "int 0x80",
    "verify 5",
    "mov ecx, {stack} - 8",
    "mov ebx, [ecx]",
    "jmp user_exit",
    // The child writes one word of each page, twice, and looks at them all. Ends with its exit code.
    ".globl user_one_word",
    "user_one_word:",
    "mov ebp, ebx",
    "mov esi, 0x44444444",
    "fill",
    "mov eax, {fork}",
    "int 0x80",
    "test eax, eax",
    "jz 3f",
    "mov eax, {wait}",
    "xor ebx, ebx",
    "mov ecx, {stack} - 8",
    "int 0x80",
    "mov ecx, {stack} - 8",
    "mov ebx, [ecx]",
    "jmp user_exit",
    "3: mov edi, {memory}",
    "mov ecx, ebp",
    "2: not dword ptr [edi]",
    "not dword ptr [edi]",
    "add edi, 4096",
    "dec ecx",
    "jnz 2b",
    "verify 6",
    "mov ebx, 0",
    "jmp user_exit",
    // Forks until that fails, each child too; ends with the error when all have ended.
    ".globl user_bomb",
    "user_bomb:",
    "mov eax, {fork}",
    "int 0x80",
    "test eax, eax",
    "jns user_bomb",
    "mov ebp, eax",
    "2: mov eax, {wait}",
    "xor ebx, ebx",
    "xor ecx, ecx",
    "int 0x80",
    "test eax, eax",
    "jns 2b",
    "mov ebx, ebp",
    "jmp user_exit",
    // Forks a child that divides by zero, waits for that, and ends with what it hears of it.
    ".globl user_bad_child",
    "user_bad_child:",
    "mov eax, {fork}",
    "int 0x80",
    "test eax, eax",
    "jz user_divide",
    "mov eax, {wait}",
    "xor ebx, ebx",
    "mov ecx, {stack} - 8",
    "int 0x80",
    "mov ecx, {stack} - 8",
    "mov ebx, [ecx]",
    "jmp user_exit",
    // Holds values in all registers for ebx rounds, while the timer takes the CPU away; ends with the bits that changed.
    ".globl user_registers",
    "user_registers:",
    "mov ecx, ebx",
    "mov eax, 0xa1a2a3a4",
    "mov ebx, 0xb1b2b3b4",
    "mov edx, 0xd1d2d3d4",
    "mov esi, 0x51525354",
    "mov edi, 0x61626364",
    "mov ebp, 0x71727374",
    ".if {wide}",
    ".irp n, 8, 9, 10, 11, 12, 13, 14, 15",
    ".byte 0x49, 0xb8 + \\n - 8", // mov of 8 bytes to r8 and so on
    ".quad 0x0123456789abcdef + \\n",
    ".endr",
    ".endif",
    "std",
    "1: pause",
    "dec ecx",
    "jnz 1b",
    ".byte 0x9c", // pushf
    "cld",
    "xor eax, 0xa1a2a3a4",
    "xor ebx, 0xb1b2b3b4",
    "xor edx, 0xd1d2d3d4",
    "xor esi, 0x51525354",
    "xor edi, 0x61626364",
    "xor ebp, 0x71727374",
    "or ebx, eax",
    "or ebx, edx",
    "or ebx, esi",
    "or ebx, edi",
    "or ebx, ebp",
    "mov eax, [esp]",
    "not eax",
    "and eax, 0x400", // the direction flag was set
    "or ebx, eax",
    ".if {wide}",
    ".irp n, 8, 9, 10, 11, 12, 13, 14, 15",
    ".byte 0x48, 0xb8", // mov of 8 bytes to rax
    ".quad 0x0123456789abcdef + \\n",
    ".byte 0x4c, 0x31, 0xc0 + (\\n - 8) * 8", // xor with r8 and so on
    "mov ecx, eax",
    "or ebx, ecx",
    ".byte 0x48, 0xc1, 0xe8, 32", // shr rax, 32
    "or ebx, eax",
    ".endr",
    ".endif",
    "jmp user_exit",
    // What ring 3 may not do, one after the other.
    ".globl user_divide",
    "user_divide:",
    "xor edx, edx",
    "xor ecx, ecx",
    "div ecx",
    "jmp survived",
    ".globl user_hlt",
    "user_hlt: hlt",
    "jmp survived",
    ".globl user_cli",
    "user_cli: cli",
    "jmp survived",
    ".globl user_in",
    "user_in: in al, 0x60",
    "jmp survived",
    ".globl user_out",
    "user_out: out 0xf4, al",
    "jmp survived",
    ".globl user_cr3",
    "user_cr3: .byte 0x0f, 0x20, 0xd8", // mov from cr3 to eax or rax
    "jmp survived",
    ".globl user_invlpg",
    "user_invlpg: invlpg [ebx]",
    "jmp survived",
    ".globl user_int3",
    "user_int3: int3",
    "jmp survived",
    ".globl user_int14",
    "user_int14: int 14",
    "jmp survived",
    ".globl user_int_timer",
    "user_int_timer: int 0x40",
    "jmp survived",
    ".globl user_ud2",
    "user_ud2: ud2",
    "jmp survived",
    ".globl user_fpu",
    "user_fpu: fninit",
    "jmp survived",
    ".globl user_kernel_data",
    "user_kernel_data:",
    "mov eax, 0x10",
    "mov ds, eax",
    "jmp survived",
    ".globl user_own_segment",
    "user_own_segment:",
    "mov eax, 0x1b",
    "mov fs, eax",
    "jmp survived",
    ".globl user_kernel_code",
    "user_kernel_code:",
    "push 8",
    "push 0",
    ".byte 0xcb", // retf
    "jmp survived",
    ".globl user_step",
    "user_step:",
    ".byte 0x9c", // pushf
    "or dword ptr [esp], 0x100",
    ".byte 0x9d", // popf
    "nop",
    "nop",
    "jmp survived",
    ".globl user_nested_iret",
    "user_nested_iret:",
    ".byte 0x9c",
    "or dword ptr [esp], 0x4000",
    ".byte 0x9d",
    ".byte 0xcf", // iret
    "jmp survived",
    ".globl user_kernel_call",
    "user_kernel_call:",
    ".byte 0x0f, 0x05", // syscall
    "survived:",
    "mov ebx, 99",
    "jmp user_exit",
    // Makes a system call with strange flags, segments and stack.
    ".globl user_strange",
    "user_strange:",
    ".byte 0x9c",
    "or dword ptr [esp], 0x44400", // NT, AC, DF
    ".byte 0x9d",
    "mov eax, {call_number}",
    "xor ecx, ecx",
    "mov fs, ecx",
    "mov gs, ecx",
    "mov esp, 0xfffffff0",
    "int 0x80",
    "mov ebx, 7",
    "jmp user_exit",
    ".globl user_text",
    "user_text: .ascii \"this comes from ring 3\\n\"",
    ".popsection",
    exit = const call::EXIT,
    fork = const call::FORK,
    wait = const call::WAIT,
    report = const call::REPORT,
    call_number = const call::YIELD,
    memory = const layout::MEMORY,
    stack = const layout::STACK_TOP,
    wide = const cfg!(target_arch = "x86_64") as u32,
);

macro_rules! programs {
    ($($name:ident = $symbol:literal;)*) => {
        unsafe extern "C" {
            $(#[link_name = $symbol] static $name: c_void;)*
        }

        /// The programs, each with its first instruction.
        pub mod entry {
            $(
                #[allow(non_upper_case_globals, reason = "they are named as in the assembly")]
                pub fn $name() -> kernel::user::Program {
                    kernel::user::Program::at(&raw const super::$name)
                }
            )*
        }
    };
}

programs! {
    exit = "user_exit";
    peek = "user_peek";
    poke = "user_poke";
    jump = "user_jump";
    call = "user_call";
    zeros = "user_zeros";
    child_first = "user_child_first";
    parent_first = "user_parent_first";
    one_word = "user_one_word";
    bomb = "user_bomb";
    bad_child = "user_bad_child";
    registers = "user_registers";
    divide = "user_divide";
    hlt = "user_hlt";
    cli = "user_cli";
    port_in = "user_in";
    port_out = "user_out";
    cr3 = "user_cr3";
    invlpg = "user_invlpg";
    int3 = "user_int3";
    int14 = "user_int14";
    int_timer = "user_int_timer";
    ud2 = "user_ud2";
    fpu = "user_fpu";
    kernel_data = "user_kernel_data";
    own_segment = "user_own_segment";
    kernel_code = "user_kernel_code";
    step = "user_step";
    nested_iret = "user_nested_iret";
    kernel_call = "user_kernel_call";
    strange = "user_strange";
    text = "user_text";
}
