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
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    movq %rsp, %rbp
    cld
    testb $3, {cs}(%rsp)
    jnz trap_from_user
    andq $-16, %rsp
    call {entry}
    movq %rbp, %rsp
trap_return:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp                          # vector, error code
    iretq

trap_from_user:                             # gs is that of ring 3, and the CPU's own waits where swapgs has put it
    swapgs
    andq $-16, %rsp
    call {from_user}
    movq %rbp, %rsp
    testb %al, %al
    jnz leave_user

    .globl resume_user
resume_user:                                # a UserFrame is on the stack; interrupts are off
    swapgs
    jmp trap_return
    .popsection
    "#,
    cs = const offset_of!(TrapFrame, cs),
    entry = sym trap::entry,
    from_user = sym trap::from_user,
    options(att_syntax)
);

/// The stack after an exception or interrupt, as the stubs in `idt` and `trap_common` leave it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct TrapFrame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rbp: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rbx: u64,
    rax: u64,
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// The same where ring 3 was interrupted.
#[repr(transparent)]
#[derive(Clone, Copy, Default)]
pub struct UserFrame(TrapFrame);

impl UserFrame {
    /// Registers of ring 3 to begin with: at `ip`, with this stack, and `arguments` in `rbx`, `rcx` and `rdx`.
    pub(crate) fn new(ip: usize, sp: usize, arguments: [usize; 3]) -> Self {
        let [rbx, rcx, rdx] = arguments.map(|argument| argument as u64);
        let (cs, ss) = (gdt::USER_CODE.bits().into(), gdt::USER_DATA.bits().into());
        let rflags = (Flags::FLAGS_IF | Flags::FLAGS_A1).bits();
        Self(TrapFrame { rbx, rcx, rdx, rip: ip as u64, cs, rflags, rsp: sp as u64, ss, ..TrapFrame::default() })
    }

    /// What an interrupt handler wants of it.
    pub(crate) fn trap(&mut self) -> &mut TrapFrame {
        &mut self.0
    }

    /// Which system call: `rax`.
    pub(crate) fn call(&self) -> usize {
        self.0.rax as usize
    }

    /// Its arguments: `rbx`, `rcx`, `rdx`.
    pub(crate) fn arguments(&self) -> [usize; 3] {
        [self.0.rbx, self.0.rcx, self.0.rdx].map(|argument| argument as usize)
    }

    /// What it gives: `rax`.
    pub(crate) fn set_result(&mut self, result: isize) {
        self.0.rax = result as u64;
    }
}

impl TrapFrame {
    /// Which exception or interrupt.
    pub fn vector(&self) -> u8 {
        self.vector as u8
    }

    /// Its error code, or 0.
    pub fn error(&self) -> u32 {
        self.error as u32
    }

    /// The instruction interrupted.
    pub fn ip(&self) -> usize {
        self.rip as usize
    }

    /// The stack pointer at that instruction.
    pub fn sp(&self) -> usize {
        self.rsp as usize
    }

    /// Whether interrupts were on.
    pub(crate) fn interrupts_were_on(&self) -> bool {
        self.rflags & Flags::FLAGS_IF.bits() != 0
    }

    /// Has the interrupted code go on at `ip`, with these values in `rax` and `rdx`.
    pub(crate) fn resume(&mut self, ip: usize, rax: u32, rdx: usize) {
        self.rip = ip as u64;
        self.rax = rax.into();
        self.rdx = rdx as u64;
    }
}

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rax, rbx, rcx, rdx, rsi, rdi, rbp, rip, rsp, rflags, .. } = self;
        let Self { r8, r9, r10, r11, r12, r13, r14, r15, .. } = self;
        writeln!(f, "rip {rip:016x}  rsp {rsp:016x}  rbp {rbp:016x}  rflags {rflags:08x}")?;
        writeln!(f, "rax {rax:016x}  rbx {rbx:016x}  rcx {rcx:016x}  rdx {rdx:016x}")?;
        writeln!(f, "rsi {rsi:016x}  rdi {rdi:016x}  r8  {r8:016x}  r9  {r9:016x}")?;
        writeln!(f, "r10 {r10:016x}  r11 {r11:016x}  r12 {r12:016x}  r13 {r13:016x}")?;
        write!(f, "r14 {r14:016x}  r15 {r15:016x}")
    }
}
