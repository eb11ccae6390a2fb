//! What each CPU has for itself, and how it finds it: a segment register whose base is the CPU's own structure, `fs` in 32-bit
//! and `gs` in 64-bit mode. So a CPU's number and its count of preemption are each one instruction away.
//!
//! A thread moves from one CPU to another unless it has a reason to stay: preemption or softirqs off, interrupts off, or an interrupt
//! or a softirq being served. What `this` gives is good for as long as there is one. Where there may be none, one instruction does
//! it all, and is true of the CPU that it ran on.

use core::arch::asm;
use core::mem::offset_of;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU16, AtomicU32};

use highmem::Kernel;
use highmem::local::SaveArea;
use typenum::Unsigned;
use x86::controlregs::{Cr0, cr0, cr0_write};

use crate::kmap::{ExampleKernel, LOCAL_LEVELS};
use crate::user::Current;
use crate::{arch, gdt, sched};

/// How many CPUs this kernel uses at the most.
pub const MAX: usize = <<ExampleKernel as Kernel>::Cpus as Unsigned>::USIZE;

/// In `preempt_count`: no other thread is due. So the whole is 0 just when the CPU has to switch and may, and the `sub` that ends the last
/// reason not to says so. Linux has `PREEMPT_NEED_RESCHED` upside down, too.
const NOT_DUE: u16 = 1 << 0;

/// In `preempt_count`: a reason not to switch. What is above counts them. The `add` that sets the highest bit says so, and stops the
/// machine: it is far below where the count would begin again at zero, so that it holds for whoever interrupts on the way, too.
const REASON: u16 = 1 << 1;

/// As many reasons not to switch as there can be. Nobody has as many who gives them up again: contexts were forgotten.
pub const MAX_PREEMPT_COUNT: u32 = ((1 << 15) / REASON - 1) as u32;

/// The state of one CPU. Only that CPU writes it; its interrupt handlers do so, too.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Cpu {
    /// This structure, for [`this`].
    itself: AtomicPtr<Cpu>,
    /// Its number.
    number: usize,
    /// A [`REASON`] for each reason not to switch to another thread, and [`NOT_DUE`].
    preempt_count: AtomicU16,
    /// How many want interrupts off.
    pub irqs_off: AtomicU32,
    /// Whether interrupts were on when the first of them came.
    pub irqs_were_on: AtomicBool,
    /// How many interrupt handlers are running, one interrupting the other.
    pub irq_depth: AtomicU32,
    /// Whether the handler of `timer` wants this CPU's ticks.
    pub ticks_wanted: AtomicBool,
    /// Whether a softirq is to run.
    pub softirq_pending: AtomicBool,
    /// Reasons not to run softirqs, one of them being that one runs.
    pub softirqs_off: AtomicU32,
    /// Whether a softirq runs.
    pub in_softirq: AtomicBool,
    /// What the thread that runs has of user space, if it has an address space.
    pub user: AtomicPtr<Current>,
    /// What it has of local maps.
    local_maps: AtomicPtr<SaveArea<LOCAL_LEVELS>>,
}

impl Cpu {
    const fn new(number: usize) -> Self {
        Self {
            itself: AtomicPtr::new(ptr::null_mut()),
            number,
            preempt_count: AtomicU16::new(NOT_DUE),
            irqs_off: AtomicU32::new(0),
            irqs_were_on: AtomicBool::new(false),
            irq_depth: AtomicU32::new(0),
            ticks_wanted: AtomicBool::new(false),
            softirq_pending: AtomicBool::new(false),
            softirqs_off: AtomicU32::new(0),
            in_softirq: AtomicBool::new(false),
            user: AtomicPtr::new(ptr::null_mut()),
            local_maps: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Has the thread that runs next find its own local maps.
    pub fn set_local_maps(&self, next: sched::Id) {
        self.local_maps.store(ptr::from_ref(sched::local_maps(next)).cast_mut(), Relaxed);
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
    cpu.set_local_maps(number); // those of the thread that idles
    gdt::init(number, itself as usize);
    // SAFETY: the segment has just been loaded with this CPU's own structure, which is static.
    unsafe { arch::set_cpu_base(itself as usize) };
    // Nobody saves the registers of the FPU: its instructions fault, in ring 3, too.
    // SAFETY: compiled code has none of them.
    unsafe { cr0_write(cr0() | Cr0::CR0_EMULATE_COPROCESSOR) };
}

#[cfg(target_arch = "x86")]
macro_rules! own {
    ($instruction:literal $(, $operand:literal)?) => {
        concat!($instruction, " fs:[{offset}]" $(, $operand)?)
    };
}
#[cfg(target_arch = "x86_64")]
macro_rules! own {
    ($instruction:literal $(, $operand:literal)?) => {
        concat!($instruction, " gs:[{offset}]" $(, $operand)?)
    };
}

/// One load from this CPU's structure: true at that moment, whatever comes after.
macro_rules! load {
    ($field:ident) => {{
        let value: u32;
        // SAFETY: loads a field of 32 bits; `init` comes first.
        unsafe {
            asm!(
                own!("mov {value:e},"),
                value = out(reg) value,
                offset = const offset_of!(Cpu, $field),
                options(readonly, nostack, preserves_flags)
            );
        }
        value
    }};
}

/// The state of the CPU that this code runs on, for code that stays there.
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

/// The number of the CPU that this code runs on. A thread that does not stay there may be on another one when it looks at it.
#[inline]
pub fn number() -> usize {
    let number;
    // SAFETY: one load from this CPU's structure; `init` comes first. Not `pure`: the number changes when the thread moves.
    unsafe {
        asm!(
            own!("mov {number},"),
            number = out(reg) number,
            offset = const offset_of!(Cpu, number),
            options(readonly, nostack, preserves_flags)
        );
    }
    number
}

/// What the thread that runs has of user space, or null. It is the thread's, wherever it moves.
#[inline]
pub(crate) fn user() -> *const Current {
    let user;
    // SAFETY: one load from this CPU's structure; `init` comes first. Not `pure`: a thread may have its address space taken away.
    unsafe {
        asm!(
            own!("mov {user},"),
            user = out(reg) user,
            offset = const offset_of!(Cpu, user),
            options(readonly, nostack, preserves_flags)
        );
    }
    user
}

/// What the thread that runs has of local maps: the thread's, wherever it moves.
#[inline]
pub(crate) fn local_maps() -> NonNull<SaveArea<LOCAL_LEVELS>> {
    let maps;
    // SAFETY: one load from this CPU's structure; `init` comes first, and sets it. Not `pure`: not the same for each thread.
    unsafe {
        asm!(
            own!("mov {maps},"),
            maps = out(reg) maps,
            offset = const offset_of!(Cpu, local_maps),
            options(readonly, nostack, preserves_flags)
        );
        NonNull::new_unchecked(maps)
    }
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

/// The count with all its bits.
fn load_preempt_count() -> u16 {
    let value: u16;
    // SAFETY: as in `load`, of 16 bits.
    unsafe {
        asm!(
            own!("mov {value:x},"),
            value = out(reg) value,
            offset = const offset_of!(Cpu, preempt_count),
            options(readonly, nostack, preserves_flags)
        );
    }
    value
}

/// How many reasons there are not to switch to another thread.
pub(crate) fn preempt_count() -> u32 {
    u32::from(load_preempt_count() / REASON)
}

/// How many interrupt handlers are running, one interrupting the other.
pub(crate) fn irq_depth() -> u32 {
    load!(irq_depth)
}

/// How many reasons there are not to run softirqs, one of them being that one runs.
pub(crate) fn softirqs_off() -> u32 {
    load!(softirqs_off)
}

/// Whether a softirq runs. A thread that does not stay on its CPU is not in one.
pub(crate) fn in_softirq() -> bool {
    softirqs_off() > 0 && this().in_softirq.load(Relaxed)
}

/// Whether another thread is due, and there is no reason not to switch.
pub(crate) fn is_due() -> bool {
    load_preempt_count() == 0
}

/// Notes whether this CPU is to switch to another thread as soon as it may; called with interrupts off.
pub(crate) fn set_due(due: bool) {
    let count = &this().preempt_count;
    if due {
        count.fetch_and(!NOT_DUE, Relaxed);
    } else {
        count.fetch_or(NOT_DUE, Relaxed);
    }
}

/// One more reason not to switch to another thread.
///
/// # Panics
///
/// With more than [`MAX_PREEMPT_COUNT`].
#[inline]
pub(crate) fn preempt_disable() {
    // SAFETY: counts in this CPU's structure, in one instruction, which no interrupt divides.
    unsafe {
        asm!(
            own!("add word ptr", ", {reason}"),
            "js {too_many}",
            offset = const offset_of!(Cpu, preempt_count),
            reason = const REASON,
            too_many = label { too_many_reasons() },
            options(nostack)
        );
    }
}

/// Stops the machine. The count stays as it is.
#[cold]
#[inline(never)]
pub(crate) fn too_many_reasons() -> ! {
    panic!("preemption or interrupts are off for too many reasons: contexts were forgotten")
}

/// One less reason not to switch to another thread. With the last one gone, switches if one is due.
#[inline]
pub(crate) fn preempt_enable() {
    // SAFETY: as in `preempt_disable`.
    unsafe {
        asm!(
            own!("sub word ptr", ", {reason}"),
            "jz {due}",
            offset = const offset_of!(Cpu, preempt_count),
            reason = const REASON,
            due = label { sched::preemption_comes_on() },
            options(nostack)
        );
    }
}
