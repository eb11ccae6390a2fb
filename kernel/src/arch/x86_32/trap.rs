//! What is on the stack after an exception or an interrupt, and the code that puts it there.

use core::arch::global_asm;
use core::fmt;

use crate::trap;

global_asm!(
    r#"
    .pushsection .text.trap, "ax", @progbits
    .globl trap_common
trap_common:                                # TrapFrame is this, from the top of the stack
    pushal
    movl %esp, %ebp
    cld
    andl $-16, %esp
    subl $12, %esp
    pushl %ebp
    call {entry}
    movl %ebp, %esp
    popal
    addl $8, %esp                           # vector, error code
    iretl
    .popsection
    "#,
    entry = sym trap::entry,
    options(att_syntax)
);

/// The stack after an exception or interrupt, as the stubs in `idt` and `trap_common` leave it.
#[repr(C)]
pub struct TrapFrame {
    edi: u32,
    esi: u32,
    ebp: u32,
    /// Where `esp` was during `pusha`: of no use, and `popa` ignores it.
    pusha_esp: u32,
    ebx: u32,
    edx: u32,
    ecx: u32,
    eax: u32,
    vector: u32,
    error: u32,
    eip: u32,
    cs: u32,
    eflags: u32,
}

impl TrapFrame {
    /// Which exception or interrupt.
    pub fn vector(&self) -> u8 {
        self.vector as u8
    }

    /// Its error code, or 0.
    pub fn error(&self) -> u32 {
        self.error
    }

    /// The instruction interrupted.
    pub fn ip(&self) -> usize {
        self.eip as usize
    }

    /// The stack pointer at that instruction: ring 0 pushes none, the stack just goes on behind the frame.
    pub fn sp(&self) -> usize {
        (&raw const *self).wrapping_add(1) as usize
    }

    /// Has the interrupted code go on at `ip`, with 1 in `eax` and these values in `ecx` and `edx`.
    pub(crate) fn resume(&mut self, ip: usize, ecx: u32, edx: usize) {
        self.eip = ip as u32;
        self.eax = 1;
        self.ecx = ecx;
        self.edx = edx as u32;
    }
}

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { eax, ebx, ecx, edx, esi, edi, ebp, eip, eflags, .. } = self;
        writeln!(f, "eip {eip:08x}  esp {:08x}  ebp {ebp:08x}  eflags {eflags:08x}", self.sp())?;
        writeln!(f, "eax {eax:08x}  ebx {ebx:08x}  ecx {ecx:08x}  edx {edx:08x}")?;
        write!(f, "esi {esi:08x}  edi {edi:08x}")
    }
}
