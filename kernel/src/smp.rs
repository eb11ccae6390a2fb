//! The other CPUs.
//!
//! The first CPU starts the others one by one. Each begins in real mode, in a page below 1 MiB that nobody else has, and joins the
//! way of the first one at once: the boot tables, the upper half, then the final page tables, and a stack of its own. It then
//! idles until there are threads to run. [`run_on_all`] has a thread on every CPU run a function.

use alloc::vec::Vec;
use core::arch::global_asm;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::arch::IMAGE_BASE;
use crate::kmap::Task;
use crate::paging::DIRECT_MAP_BASE;
use crate::{boot, cpu, idt, lapic, paging, sched, thread, timer};

/// Where the code for real mode is copied: the first MiB is never handed out.
const TRAMPOLINE: usize = 0x8000;

/// How long a CPU may take to answer, in steps of about a microsecond or more: if it is sure to be there, and if not.
const CERTAIN: u32 = 10_000_000;
const UNCERTAIN: u32 = 20_000;

global_asm!(
    r#"
    .pushsection .rodata.trampoline, "a", @progbits
    .balign 16
    .globl trampoline_start
trampoline_start:
    .code16
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl {at} + trampoline_gdt_pointer - trampoline_start
    movl %cr0, %eax
    andl $0x9fffffff, %eax                  # CD, NW: caches are on
    orl $1, %eax                            # PE
    movl %eax, %cr0
    ljmpl $8, $(ap_start - {base})
    .balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00cf9a000000ffff                # code, 32-bit
    .quad 0x00cf92000000ffff                # data
trampoline_gdt_pointer:
    .word 23
    .long {at} + trampoline_gdt - trampoline_start
    .globl trampoline_end
trampoline_end:
    .popsection
    "#,
    at = const TRAMPOLINE,
    base = const IMAGE_BASE,
    options(att_syntax)
);

unsafe extern "C" {
    #[link_name = "trampoline_start"]
    static TRAMPOLINE_START: c_void;
    #[link_name = "trampoline_end"]
    static TRAMPOLINE_END: c_void;
}

/// The stack for the CPU that starts now. It takes it; a CPU that finds none was given up, and stops.
#[unsafe(export_name = "ap_stack")]
static STACK: AtomicUsize = AtomicUsize::new(0);

/// How many CPUs there are.
static COUNT: AtomicUsize = AtomicUsize::new(1);

/// What a thread on each CPU runs; the number is the CPU's.
pub type Work = fn(&mut Task<'_>, usize);

/// How many CPUs there are, from number 0 on.
pub fn count() -> usize {
    COUNT.load(Relaxed)
}

/// Starts the other CPUs: those whose interrupt controllers have the numbers that follow the first one's.
pub(crate) fn init() {
    if !lapic::map() {
        return;
    }
    lapic::init();
    let start = &raw const TRAMPOLINE_START as usize;
    let length = &raw const TRAMPOLINE_END as usize - start;
    // SAFETY: the trampoline is in the image, and its page, which the direct map has, is of no other use.
    unsafe { ptr::copy_nonoverlapping(start as *const u8, (DIRECT_MAP_BASE + TRAMPOLINE) as *mut u8, length) };
    for number in 1..cpu::MAX {
        if !start_cpu(number) {
            break;
        }
    }
}

fn start_cpu(number: usize) -> bool {
    const PAGE: u8 = (TRAMPOLINE >> 12) as u8;
    STACK.store(boot::stack_top(number), Release);
    lapic::reset_and_start_up(number as u8, PAGE);
    let answers = || COUNT.load(Acquire) == number + 1;
    let answers_within = |time| {
        (0..time).any(|_| {
            answers() || {
                lapic::wait_microseconds(1);
                false
            }
        })
    };
    if answers() {
        return true;
    }
    lapic::start_up(number as u8, PAGE);
    let patience = if number < lapic::cpus_of_package() { CERTAIN } else { UNCERTAIN };
    if answers_within(patience) {
        return true;
    }
    // Whoever takes the stack decides: from here on the CPU either runs, or never will.
    if STACK.swap(0, Relaxed) != 0 {
        return false;
    }
    assert!(answers_within(CERTAIN), "CPU {number} began to start, and did not come up");
    true
}

/// Where the other CPUs enter the kernel proper, on the boot tables.
pub(crate) extern "C" fn enter() -> ! {
    let number = COUNT.load(Relaxed);
    // SAFETY: the final tables of this CPU map all that is in use, as those of the first CPU do.
    unsafe { paging::enter(number) };
    cpu::init(number);
    idt::load();
    lapic::init();
    timer::start_on_this_cpu();
    COUNT.store(number + 1, Release);
    sched::idle()
}

/// Runs `work` in a thread on every CPU, this one included, and waits for all. Each is bound to its CPU, and all are there before one
/// runs on this CPU: they may wait for each other even with preemption off.
///
/// # Panics
///
/// If there are too many threads.
pub fn run_on_all(task: &mut Task<'_>, work: Work) {
    let start = |cpu| thread::spawn_on(cpu, "work", move |task| work(task, cpu));
    let together = task.atomic();
    let threads: Vec<_> = (0..count()).map(start).collect();
    drop(together);
    for thread in threads {
        thread.join(task);
    }
}
