//! The local interrupt controller of each CPU: how one CPU starts and interrupts another, and the timer that each CPU but the first has its
//! ticks from.
//!
//! Each CPU sees its own at the same address. The first CPU's goes on letting the interrupts of the two 8259 through.

use core::arch::asm;
#[cfg(target_arch = "x86")]
use core::arch::x86::__cpuid;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::__cpuid;
use core::ptr;

use x86::io::inb;

use crate::arch::LAPIC_BASE;
use crate::paging;

/// The vector of the timer.
pub const TIMER_VECTOR: u8 = 0x40;

/// The vector of a call from another CPU: `ipi`.
pub const CALL_VECTOR: u8 = 0x41;

/// The vector of a CPU that says that there is a thread to run.
pub const POKE_VECTOR: u8 = 0x42;

/// The vector of an interrupt that is none. The oldest controllers want the low four bits set.
pub const SPURIOUS_VECTOR: u8 = 0xff;

/// Where the registers are in physical memory, if nobody moves them.
const PHYSICAL: u64 = 0xfee0_0000;

const END_OF_INTERRUPT: usize = 0xb0;
const TASK_PRIORITY: usize = 0x80;
const SPURIOUS: usize = 0xf0;
const COMMAND_LOW: usize = 0x300;
const COMMAND_HIGH: usize = 0x310;
const TIMER: usize = 0x320;
const TIMER_INITIAL: usize = 0x380;
const TIMER_DIVIDE: usize = 0x3e0;

const ENABLED: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
const PERIODIC: u32 = 1 << 17;
const DIVIDE_BY_1: u32 = 0b1011;

const SENDING: u32 = 1 << 12;
const FIXED: u32 = 0x4000;
const INIT: u32 = 0x4500;
const START_UP: u32 = 0x4600;

/// Looks at the controller before a message is given up.
const PATIENCE: u32 = 1 << 20;

fn write(register: usize, value: u32) {
    // SAFETY: a register of this CPU's controller, which `map` has mapped: only CPUs that have one get here.
    unsafe { ptr::write_volatile((LAPIC_BASE + register) as *mut u32, value) }
}

fn read(register: usize) -> u32 {
    // SAFETY: as in `write`.
    unsafe { ptr::read_volatile((LAPIC_BASE + register) as *const u32) }
}

/// Maps the registers, if the CPU has them, and says so.
pub(crate) fn map() -> bool {
    const APIC: u32 = 1 << 9;
    let exists = __cpuid(1).edx & APIC != 0;
    if exists {
        paging::map_device(LAPIC_BASE, PHYSICAL);
    }
    exists
}

/// How many CPUs the processor says that its package has, or may have. A machine may have more packages.
pub(crate) fn cpus_of_package() -> usize {
    const MORE_THAN_ONE: u32 = 1 << 28;
    let leaf = __cpuid(1);
    if leaf.edx & MORE_THAN_ONE == 0 { 1 } else { (leaf.ebx >> 16 & 0xff) as usize }
}

/// Turns this CPU's controller on, with its timer off.
pub(crate) fn init() {
    write(TASK_PRIORITY, 0);
    write(SPURIOUS, ENABLED | u32::from(SPURIOUS_VECTOR));
    stop_timer();
}

/// Tells the controller that its interrupt is being served.
pub(crate) fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Has this CPU's timer interrupt every `clocks` clocks of the bus.
pub(crate) fn start_timer(clocks: u32) {
    write(TIMER_DIVIDE, DIVIDE_BY_1);
    write(TIMER, PERIODIC | u32::from(TIMER_VECTOR));
    write(TIMER_INITIAL, clocks);
}

/// Ends [`start_timer`].
pub(crate) fn stop_timer() {
    write(TIMER, MASKED);
    write(TIMER_INITIAL, 0);
}

/// Interrupts the CPU whose controller is number `target`. Called with interrupts off: a message takes two stores.
pub(crate) fn interrupt(target: u8, vector: u8) {
    send(target, FIXED | u32::from(vector));
}

/// Resets the CPU whose controller is number `target`, if there is one, and starts it at this page below 1 MiB. It may need a
/// second [`start_up`].
pub(crate) fn reset_and_start_up(target: u8, page: u8) {
    send(target, INIT);
    wait_microseconds(10_000);
    start_up(target, page);
    wait_microseconds(200);
}

/// Starts the CPU at this page below 1 MiB, if it has been reset and does not run yet.
pub(crate) fn start_up(target: u8, page: u8) {
    send(target, START_UP | u32::from(page));
}

fn send(target: u8, command: u32) {
    write(COMMAND_HIGH, u32::from(target) << 24);
    write(COMMAND_LOW, command);
    let sent = (0..PATIENCE).inspect(|_| core::hint::spin_loop()).any(|_| read(COMMAND_LOW) & SENDING == 0);
    assert!(sent, "the interrupt controller does not send");
}

/// Waits so long or longer: no access to a port of the ISA bus is faster than about a microsecond on a real machine.
pub(crate) fn wait_microseconds(count: u32) {
    const POST_CODE: u16 = 0x80;
    for _ in 0..count {
        // SAFETY: reads a port that means nothing.
        unsafe { inb(POST_CODE) };
    }
}

/// Waits for an interrupt. Called with interrupts off, which it turns on; none is lost in between.
pub(crate) fn wait_for_interrupt() {
    // SAFETY: ring 0, all gates are filled; the interrupts come after the `hlt` has begun.
    unsafe { asm!("sti", "hlt") }
}
