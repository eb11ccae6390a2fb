//! What is on the stack after an exception or an interrupt, and the code that puts it there.

use core::arch::global_asm;
use core::fmt;
use core::mem::offset_of;

use super::Flags;
use crate::{gdt, trap};

global_asm!(
    r#"
    .pushsection .text.trap, "ax", @progbits
    .globl trap_common
trap_common:                                # TrapFrame is this, from the top of the stack
    pushal
    movl %esp, %ebp
    cld
    testb $3, {cs}(%esp)
    jnz trap_from_user
    andl $-16, %esp
    subl $12, %esp
    pushl %ebp
    call {entry}
    movl %ebp, %esp
    popal
    addl $8, %esp                           # vector, error code
    iretl

trap_from_user:                             # UserFrame is this; the segments are those of ring 3
    movl ${data}, %eax
    movl %eax, %ds
    movl %eax, %es
    movl ${own}, %eax
    movl %eax, %fs
    andl $-16, %esp
    subl $12, %esp
    pushl %ebp
    call {from_user}
    movl %ebp, %esp
    testb %al, %al
    jnz leave_user

    .globl resume_user
resume_user:                                # a UserFrame is on the stack; interrupts are off
    movl ${user_data}, %eax
    movl %eax, %ds
    movl %eax, %es
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    popal
    addl $8, %esp
    iretl
    .popsection
    "#,
    cs = const offset_of!(TrapFrame, cs),
    data = const gdt::DATA.bits(),
    own = const gdt::OWN.bits(),
    user_data = const gdt::USER_DATA.bits(),
    entry = sym trap::entry,
    from_user = sym trap::from_user,
    options(att_syntax)
);

/// The stack after an exception or interrupt, as the stubs in `idt` and `trap_common` leave it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
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

/// The same where ring 3 was interrupted: the processor has changed the stack, and pushed the old one.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct UserFrame {
    trap: TrapFrame,
    esp: u32,
    ss: u32,
}

impl UserFrame {
    /// Registers of ring 3 to begin with: at `ip`, with this stack, and `arguments` in `ebx`, `ecx` and `edx`.
    pub(crate) fn new(ip: usize, sp: usize, arguments: [usize; 3]) -> Self {
        let [ebx, ecx, edx] = arguments.map(|argument| argument as u32);
        let (cs, ss) = (gdt::USER_CODE.bits().into(), gdt::USER_DATA.bits().into());
        let eflags = (Flags::FLAGS_IF | Flags::FLAGS_A1).bits();
        Self {
            trap: TrapFrame { ebx, ecx, edx, eip: ip as u32, cs, eflags, ..TrapFrame::default() },
            esp: sp as u32,
            ss,
        }
    }

    /// What an interrupt handler wants of it.
    pub(crate) fn trap(&mut self) -> &mut TrapFrame {
        &mut self.trap
    }

    /// Which system call: `eax`.
    pub(crate) fn call(&self) -> usize {
        self.trap.eax as usize
    }

    /// Its arguments: `ebx`, `ecx`, `edx`.
    pub(crate) fn arguments(&self) -> [usize; 3] {
        [self.trap.ebx, self.trap.ecx, self.trap.edx].map(|argument| argument as usize)
    }

    /// What it gives: `eax`.
    pub(crate) fn set_result(&mut self, result: isize) {
        self.trap.eax = result as u32;
    }
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

    /// Whether interrupts were on.
    pub(crate) fn interrupts_were_on(&self) -> bool {
        self.eflags & Flags::FLAGS_IF.bits() != 0
    }

    /// Has the interrupted code go on at `ip`, with these values in `eax` and `edx`.
    pub(crate) fn resume(&mut self, ip: usize, eax: u32, edx: usize) {
        self.eip = ip as u32;
        self.eax = eax;
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
