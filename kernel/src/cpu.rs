//! What each CPU has for itself, and how it finds it: a segment register whose base is the CPU's own structure, `fs` in 32-bit
//! and `gs` in 64-bit mode. So a CPU's number and its count of preemption are each one instruction away.
//!
//! No thread moves from one CPU to another.

use core::arch::asm;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32};

use highmem::Kernel;
use typenum::Unsigned;

use crate::kmap::ExampleKernel;
use crate::{arch, gdt};

/// How many CPUs this kernel uses at the most.
pub const MAX: usize = <<ExampleKernel as Kernel>::Cpus as Unsigned>::USIZE;

/// The state of one CPU. Only that CPU writes it; its interrupt handlers do so, too.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Cpu {
    /// This structure, for [`this`].
    itself: AtomicPtr<Cpu>,
    /// Its number.
    number: usize,
    /// How many reasons there are not to switch to another thread.
    pub preempt_count: AtomicU32,
    /// How many want interrupts off.
    pub irqs_off: AtomicU32,
    /// Whether interrupts were on when the first of them came.
    pub irqs_were_on: AtomicBool,
    /// How many interrupt handlers are running, one interrupting the other.
    pub irq_depth: AtomicU32,
    /// Whether a softirq is to run.
    pub softirq_pending: AtomicBool,
    /// Reasons not to run softirqs, one of them being that one runs.
    pub softirqs_off: AtomicU32,
    /// Whether a softirq runs.
    pub in_softirq: AtomicBool,
}

impl Cpu {
    const fn new(number: usize) -> Self {
        Self {
            itself: AtomicPtr::new(ptr::null_mut()),
            number,
            preempt_count: AtomicU32::new(0),
            irqs_off: AtomicU32::new(0),
            irqs_were_on: AtomicBool::new(false),
            irq_depth: AtomicU32::new(0),
            softirq_pending: AtomicBool::new(false),
            softirqs_off: AtomicU32::new(0),
            in_softirq: AtomicBool::new(false),
        }
    }
}

static CPUS: [Cpu; MAX] = {
    let mut cpus = [const { Cpu::new(0) }; MAX];
    let mut number = 0;
    while number < MAX {
        cpus[number].number = number;
        number += 1;
    }
    cpus
};

/// Makes the CPU that this code runs on number `number`: before anything that asks for it, and that is all but this.
pub(crate) fn init(number: usize) {
    let cpu = &CPUS[number];
    let itself = (&raw const *cpu).cast_mut();
    cpu.itself.store(itself, Relaxed);
    gdt::init(number, itself as usize);
    // SAFETY: the segment has just been loaded with this CPU's own structure, which is static.
    unsafe { arch::set_cpu_base(itself as usize) };
}

#[cfg(target_arch = "x86")]
macro_rules! own {
    ($instruction:literal) => {
        concat!($instruction, " fs:[{offset}]")
    };
}
#[cfg(target_arch = "x86_64")]
macro_rules! own {
    ($instruction:literal) => {
        concat!($instruction, " gs:[{offset}]")
    };
}

/// The state of the CPU that this code runs on.
#[inline]
pub(crate) fn this() -> &'static Cpu {
    let itself: *const Cpu;
    // SAFETY: one load from this CPU's structure; `init` comes first.
    unsafe {
        asm!(
            own!("mov {itself},"),
            itself = out(reg) itself,
            offset = const offset_of!(Cpu, itself),
            options(pure, readonly, nostack, preserves_flags)
        );
        &*itself
    }
}

/// The number of the CPU that this code runs on.
#[inline]
pub fn number() -> usize {
    let number;
    // SAFETY: one load from this CPU's structure; `init` comes first.
    unsafe {
        asm!(
            own!("mov {number},"),
            number = out(reg) number,
            offset = const offset_of!(Cpu, number),
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    number
}

/// One more reason in a count of reasons. A count at its end stays there: so many contexts were forgotten that what they keep off
/// stays off.
#[inline]
pub(crate) fn one_more(count: &AtomicU32) {
    count.store(count.load(Relaxed).saturating_add(1), Relaxed);
}

/// One less, and how many are left.
#[inline]
pub(crate) fn one_less(count: &AtomicU32) -> u32 {
    let left = match count.load(Relaxed) {
        u32::MAX => u32::MAX,
        reasons => reasons - 1,
    };
    count.store(left, Relaxed);
    left
}

/// One more reason not to switch to another thread.
#[inline]
pub(crate) fn preempt_disable() {
    // SAFETY: counts in this CPU's structure, in one instruction, which no interrupt divides.
    unsafe { asm!(own!("inc dword ptr"), offset = const offset_of!(Cpu, preempt_count), options(nostack)) }
}

/// One less reason not to switch to another thread.
#[inline]
pub(crate) fn preempt_enable() {
    // SAFETY: as in `preempt_disable`.
    unsafe { asm!(own!("dec dword ptr"), offset = const offset_of!(Cpu, preempt_count), options(nostack)) }
}
