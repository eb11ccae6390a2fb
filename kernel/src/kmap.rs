//! The kernel's side of `highmem`: the traits, the pool, and the entry points. The window is in `window`.
//!
//! This is the file to read for adding the crate to another kernel. The contexts come into being in three places: the task where a
//! thread starts, in [`sched`](crate::sched), interrupt handlers in [`irq`], softirqs in [`softirq`].

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ptr::NonNull;

use highmem::copy::{AtomicCopyBy, CopyBy};
use highmem::debug::{Report, Serving, State};
use highmem::fixmap::slots_of_cpu;
use highmem::kernel::{Faults, GaveUp};
use highmem::local::{InTask, Locals, SaveArea};
use highmem::pagetable::Cpus;
use highmem::tlb::Translations;
use highmem::{
    BounceKernel, Kernel, LocalKernel, PAGE_SIZE, PageBytes, PageTableKernel, Pfn, Pool, PoolKernel, UserKernel, linux,
};
use typenum::{U0, U2, U4, U8, Unsigned};

use crate::paging::{self, DIRECT_MAP_BASE};
use crate::sync::IrqLock;
use crate::wait::WaitQueue;
use crate::{arch, cpu, ipi, irq, memory, softirq, spaces, timer, user, window};

/// This kernel, for `highmem`.
#[derive(Debug)]
pub struct ExampleKernel;

/// The paging mode that this kernel is built for.
pub type Paging = paging::Mode;

/// A thread of this kernel.
pub type Task<'e> = highmem::Task<'e, ExampleKernel>;
/// A thread of this kernel that may hold a mapping of the pool: it can sleep, but not wait for another one.
pub type MaySleep<'e> = highmem::MaySleep<'e, ExampleKernel>;
/// An interrupt handler of this kernel.
pub type HardIrq<'e> = highmem::HardIrq<'e, ExampleKernel>;
/// A thread of this kernel that may have local maps: it can sleep, and stays on its CPU.
pub type MaySleepHere<'e> = highmem::MaySleepHere<'e, ExampleKernel>;
/// User memory, as this kernel has it.
pub type UserSlice = highmem::UserSlice<ExampleKernel>;
/// User memory that is copied from.
pub type UserReader = highmem::user::UserReader<ExampleKernel>;
/// User memory that is copied to.
pub type UserWriter = highmem::user::UserWriter<ExampleKernel>;
/// A softirq of this kernel.
pub type Softirq<'e> = highmem::Softirq<'e, ExampleKernel>;
/// A thread of this kernel that cannot be preempted.
pub type Atomic<'cx> = highmem::Atomic<'cx, ExampleKernel>;
/// The token of a task's local maps.
pub type Local<'cx, D = U0> = highmem::Local<'cx, ExampleKernel, InTask, D>;
/// The token of a slot of this kernel.
pub type Slot<'cx, S> = highmem::Slot<'cx, ExampleKernel, S>;

/// Promises of this kernel that `highmem` found broken, with the feature `debug`.
static REPORTS: IrqLock<Vec<String>> = IrqLock::new(Vec::new());

// SAFETY: the checklist of `Kernel`.
// The window: `window::link` links its tables before the first thread runs, each address space has the kernel's entries of the top table of
// each CPU (`paging::user`), and nobody else uses these addresses. Boot sets CR0.WP and turns the mode on; frames come from the memory map; `paging::enter` sets CR4.PGE on each CPU
// if translations are global, and CR4.PCIDE only then.
// The CPU: each has a number of its own, before its first thread. Threads move from CPU to CPU, but not while preemption or interrupts are
// off, nor in a softirq: `sched` looks at the counts of the CPU before a switch, and the count goes up in one instruction. Softirqs and
// interrupts are kept out as their modules say, and both count. No count begins again at zero: that of preemption stops the machine, and
// the others stay at their end. What another CPU or thread runs borrows nothing
// (`ipi::call_on_others`, `thread::spawn`, `smp::run_on_all`), or takes `&mut Task` (`ipi::call_on_others_with`).
// Memory: the direct map covers all of lowmem, for good, and the window is elsewhere. Or there is none when the first thread runs, and no frame
// has an address. `set_copy_by` looks whether this processor has the instructions, and all CPUs are alike.
unsafe impl Kernel for ExampleKernel {
    type Paging = Paging;
    type KmTypes = linux::Set;
    type Cpus = U4;
    type Machine = Machine;
    type Fixmap = window::Tables;

    const FIXMAP_BASE: usize = arch::WINDOW_BASE;

    const LOCALS: Locals = Locals::of::<Self>();

    const TRACED: bool = cfg!(feature = "trace");

    const TRANSLATIONS: Translations =
        if paging::GLOBAL_TRANSLATIONS { Translations::Global } else { Translations::Untagged };

    #[inline]
    fn fixmap() -> &'static window::Tables {
        window::fixmap()
    }

    #[inline]
    fn cpu() -> usize {
        cpu::number()
    }

    #[inline]
    fn preempt_disable() {
        cpu::preempt_disable();
    }

    #[inline]
    unsafe fn preempt_enable() {
        cpu::preempt_enable();
    }

    fn bh_disable() {
        softirq::disable();
    }

    unsafe fn bh_enable() {
        softirq::enable();
    }

    fn irq_save() -> bool {
        irq::save()
    }

    unsafe fn irq_restore(_were_on: bool) {
        irq::restore();
    }

    #[inline]
    fn no_execute() -> bool {
        paging::has_nx()
    }

    #[inline]
    fn copy_by() -> CopyBy {
        copy_by()
    }

    fn state() -> Option<State> {
        let interrupts_off = !irq::enabled();
        // All accounts of one CPU, even if the thread need not stay there.
        irq::with_disabled(|| {
            let serving = if irq::in_interrupt() {
                Serving::InterruptHandler
            } else if cpu::in_softirq() {
                Serving::SoftirqHandler
            } else {
                Serving::Thread
            };
            Some(State {
                serving,
                preemption_off: serving != Serving::Thread || cpu::preempt_count() > 0,
                softirqs_off: cpu::softirqs_off() > 0,
                interrupts_off,
            })
        })
    }

    fn report(report: &Report) {
        REPORTS.with(|reports| reports.push(report.to_string()));
    }

    #[cfg(feature = "trace")]
    fn trace(event: &highmem::trace::Event) {
        crate::trace::record(event);
    }

    #[inline]
    fn direct_map(pfn: Pfn<Paging>) -> Option<NonNull<PageBytes>> {
        const LOWMEM_FRAMES: usize = paging::LOWMEM_LIMIT / PAGE_SIZE;
        if !paging::HAS_DIRECT_MAP || pfn.number() >= LOWMEM_FRAMES {
            return None;
        }
        NonNull::new(core::ptr::with_exposed_provenance_mut(DIRECT_MAP_BASE + pfn.number() * PAGE_SIZE))
    }
}

/// In an `impl Kernel for` another kernel: what [`ExampleKernel`] does of it, but for its slots, its window, its CPUs and its NX. Programs try
/// other windows and other slots with it, on this machine.
#[macro_export]
macro_rules! as_the_example_kernel {
    () => {
        type Paging = $crate::kmap::Paging;

        const TRANSLATIONS: ::highmem::tlb::Translations =
            <$crate::kmap::ExampleKernel as ::highmem::Kernel>::TRANSLATIONS;

        #[inline]
        fn preempt_disable() {
            <$crate::kmap::ExampleKernel as ::highmem::Kernel>::preempt_disable();
        }

        #[inline]
        unsafe fn preempt_enable() {
            // SAFETY: I2: the caller's promise.
            unsafe { <$crate::kmap::ExampleKernel as ::highmem::Kernel>::preempt_enable() }
        }

        fn bh_disable() {
            <$crate::kmap::ExampleKernel as ::highmem::Kernel>::bh_disable();
        }

        unsafe fn bh_enable() {
            // SAFETY: I1: the caller's promise.
            unsafe { <$crate::kmap::ExampleKernel as ::highmem::Kernel>::bh_enable() }
        }

        fn irq_save() -> bool {
            <$crate::kmap::ExampleKernel as ::highmem::Kernel>::irq_save()
        }

        unsafe fn irq_restore(were_on: bool) {
            // SAFETY: I1: the caller's promise.
            unsafe { <$crate::kmap::ExampleKernel as ::highmem::Kernel>::irq_restore(were_on) }
        }

        #[inline]
        fn direct_map(pfn: ::highmem::Pfn<$crate::kmap::Paging>) -> Option<::core::ptr::NonNull<::highmem::PageBytes>> {
            <$crate::kmap::ExampleKernel as ::highmem::Kernel>::direct_map(pfn)
        }
    };
}

/// How many local maps a task can have.
pub const LOCAL_LEVELS: usize = <ExampleKernel as LocalKernel>::TaskLevels::USIZE;

// SAFETY: the checklist of `LocalKernel`: `sched` has an area for each thread, which it resets before the thread begins, and in each switch,
// with interrupts off, calls both hooks; the CPU leads to that of the thread that runs. A thread that is pinned is not taken by another
// CPU.
unsafe impl LocalKernel for ExampleKernel {
    type TaskLevels = U8;
    type AtomicLevels = U4;
    type SoftirqLevels = U4;
    type IrqLevels = U4;
    type NmiLevels = U2;
    type SaveArea = SaveArea<LOCAL_LEVELS>;

    #[inline]
    fn save_area() -> NonNull<SaveArea<LOCAL_LEVELS>> {
        cpu::local_maps()
    }
}

/// The processor.
#[cfg(not(feature = "counted"))]
type Machine = highmem::machine::X86;
#[cfg(feature = "counted")]
type Machine = crate::counted::Counting;

/// How many entries the pool has: a page table's worth, or a few that are soon used up.
#[cfg(feature = "small-pool")]
type PoolEntries = typenum::U16;
#[cfg(all(not(feature = "small-pool"), target_arch = "x86", feature = "non-pae"))]
type PoolEntries = typenum::U1024;
#[cfg(all(not(feature = "small-pool"), not(all(target_arch = "x86", feature = "non-pae"))))]
type PoolEntries = typenum::U512;

static POOL: Pool<{ paging::ENTRIES }> = Pool::new::<ExampleKernel>();

/// Who waits for an entry of the pool.
static POOL_WAIT: WaitQueue = WaitQueue::new();

// SAFETY: the checklist of `PoolKernel`: `init` links the pool's table, whose addresses are of no other use, for all CPUs; `ipi` waits until
// each has done its call; a thread that waits is one of `wait`, and sleeps as any other.
unsafe impl PoolKernel for ExampleKernel {
    type PoolEntries = PoolEntries;
    type Pool = Pool<{ paging::ENTRIES }>;

    const PKMAP_BASE: usize = arch::PKMAP_BASE;

    #[inline]
    fn pool() -> &'static Self::Pool {
        &POOL
    }

    fn wait(thread: &mut MaySleep<'_>, until: &(dyn Fn() -> bool + Sync)) -> Result<(), GaveUp> {
        POOL_WAIT.wait_asked(thread, until);
        Ok(())
    }

    fn wake_one() {
        POOL_WAIT.wake_one();
    }

    fn on_other_cpus(work: &(dyn Fn() + Sync)) {
        ipi::call(&|_| work());
    }

    fn now() -> u64 {
        // SAFETY: reads the time-stamp counter, which all processors that this kernel runs on have.
        unsafe { x86::time::rdtsc() }
    }
}

/// Who waits for pages of a reserve.
static BOUNCE_WAIT: WaitQueue = WaitQueue::new();

// SAFETY: the checklist of `BounceKernel`: a thread that waits is one of `wait`, and sleeps as any other.
unsafe impl BounceKernel for ExampleKernel {
    fn wait(thread: &mut MaySleep<'_>, until: &(dyn Fn() -> bool + Sync)) -> Result<(), GaveUp> {
        BOUNCE_WAIT.wait_asked(thread, until);
        Ok(())
    }

    /// Each that waits sleeps on if its answer is still no.
    fn wake() {
        BOUNCE_WAIT.wake_all();
    }

    /// In microseconds.
    fn now() -> u64 {
        timer::uptime().as_micros() as u64
    }
}

// SAFETY: the checklist of `UserKernel`: below `USER_END` is the half of the address spaces that the kernel leaves to processes, in which all
// is user space's. What is mapped there are `UserPage`s, which are volatile, and programs, which nobody refers to. The copies are
// instructions that have a fix-up; a fault brings a page in only if it may sleep, and asks for nothing but counters otherwise.
unsafe impl UserKernel for ExampleKernel {
    const USER_END: usize = arch::USER_END;

    unsafe fn copy_from_user(to: *mut u8, from: usize, len: usize, faults: Faults) -> usize {
        // SAFETY: by this function's contract; with `Handled`, whoever calls has the `MaySleep` of the thread that may sleep.
        unsafe { user::copy::copy_from_user(to, from, len, faults) }
    }

    unsafe fn copy_to_user(to: usize, from: *const u8, len: usize, faults: Faults) -> usize {
        // SAFETY: as above.
        unsafe { user::copy::copy_to_user(to, from, len, faults) }
    }
}

// SAFETY: the checklist of `PageTableKernel`: the memory map says what is RAM. There is one PCID, number 0, so that a CPU forgets what is not
// global when it loads CR3. `ipi` waits until each CPU has done its call; one that is not called has loaded another top table, or will load
// this one only now (`spaces`).
unsafe impl PageTableKernel for ExampleKernel {
    const PCIDS: bool = false;

    fn is_memory(pfn: Pfn<Paging>) -> bool {
        memory::map().is_ram(pfn.number())
    }

    fn on_cpus(cpus: Cpus<Paging>, work: &(dyn Fn() + Sync)) {
        spaces::on_cpus(cpus, work);
    }
}

/// What was found out at the start.
static COPY_BY: AtomicCopyBy = AtomicCopyBy::new(CopyBy::Words);

/// By which instructions this kernel copies.
#[inline]
pub fn copy_by() -> CopyBy {
    COPY_BY.load()
}

/// Has this kernel copy in another way, from the next copy on.
///
/// # Panics
///
/// If the processor has no such instructions.
pub fn set_copy_by(by: CopyBy) {
    assert!(by != CopyBy::NonTemporal || by.is_good_here(), "this processor has no SSE2");
    COPY_BY.store(by);
}

/// Links the pool into the page tables, and looks how this processor copies.
pub(crate) fn init() {
    set_copy_by(CopyBy::of_this_cpu());
    // SAFETY: the table is highmem's, which answers for what its entries map; it is linked for all CPUs, and for good.
    unsafe {
        paging::link_table(arch::PKMAP_BASE, (&raw const *POOL.table()).cast());
        POOL.start::<ExampleKernel>();
    }
}

/// The slots of this CPU, each with its virtual address: for reports and tests.
pub fn slots() -> impl Iterator<Item = (&'static str, usize)> {
    slots_of_cpu::<ExampleKernel>(cpu::number())
}

/// The page-table entry behind an address of the window, as it lies in memory: that of this CPU, where each has its own.
///
/// # Panics
///
/// If it is not the address of a slot.
pub fn entry(address: usize) -> u64 {
    let mut slots = (0..cpu::MAX).flat_map(slots_of_cpu::<ExampleKernel>);
    assert!(slots.any(|(_, slot)| slot == address), "{address:#x} is not the address of a slot");
    let first = window::first_table(cpu::number()).cast::<paging::Raw>();
    // SAFETY: within the table. The load is volatile, as those of the processor's own walks are.
    unsafe { paging::read(first.add((address - ExampleKernel::FIXMAP_BASE) / PAGE_SIZE)) }
}

/// The page-table entry behind an address of the pool, as it lies in memory.
///
/// # Panics
///
/// If it is not the address of an entry.
pub fn pool_entry(address: usize) -> u64 {
    let entry = address.wrapping_sub(arch::PKMAP_BASE) / PAGE_SIZE;
    assert!(entry < PoolEntries::USIZE, "{address:#x} is not an address of the pool");
    let first = (&raw const *POOL.table()).cast::<paging::Raw>();
    // SAFETY: within the table. The load is volatile, as those of the processor's own walks are.
    unsafe { paging::read(first.add(entry)) }
}

/// Takes the promises that `highmem` has found broken so far: with the feature `debug`, and if there were any.
pub fn take_reports() -> Vec<String> {
    REPORTS.with(core::mem::take)
}

/// How many reasons there are not to switch to another thread.
pub fn preempt_count() -> u32 {
    cpu::preempt_count()
}
