//! The kernel's side: the one trait that a kernel implements, a second one for kernels that want `kmap`, too, a third for those that copy
//! from and to user memory, a fourth for those whose disks do not reach all memory, a fifth for those whose page tables are in high
//! memory, and a sixth for those that want local maps.

use core::ops::Range;
use core::ptr::NonNull;

use typenum::{NonZero, Unsigned};

use crate::context::MaySleep;
use crate::copy::{self, CopyBy};
use crate::debug::{self, Report, State};
use crate::fixmap::FixmapTables;
use crate::local::{Locals, SaveLevels};
use crate::machine::Machine;
use crate::page::{PageBytes, Pfn};
use crate::pagetable::{Cpus, Scope};
use crate::paging::{PAGE_SIZE, Paging, Pat};
use crate::pool::PoolTable;
use crate::slot::KmTypes;
use crate::tlb::{self, Translations};
use crate::trace::Event;

/// What the crate has to know of a kernel. Implemented once, for an empty type that names the kernel.
///
/// All functions are called on the hot path: mark them `#[inline]`. The [crate's documentation](crate) has a whole
/// implementation.
///
/// # Safety
///
/// The implementer ticks off:
///
/// The window (for this part, [`selftest`](fn@crate::selftest) looks at what the processor makes of it)
/// - [ ] The physical addresses of the pages of [`fixmap`](Self::fixmap) stand, in their order and writable, in the page
///   directory entries for [`FIXMAP_BASE`](Self::FIXMAP_BASE) and what follows, in every address space (of this CPU, if each CPU
///   has its own [`fixmap`](Self::fixmap)), before the first mapping.
/// - [ ] Nobody else writes these entries or uses these virtual addresses.
/// - [ ] CR0.WP is set. (Without it a read-only mapping is writable.)
/// - [ ] The register IA32_PAT of each CPU holds [`PAT`](Self::PAT). (A processor has [`Pat::POWER_ON`] if nobody changes it.)
/// - [ ] The page tables use the format that [`Paging`](Self::Paging) names, and frames beyond what the processor can address
///   (MAXPHYADDR) are never made into pages.
/// - [ ] CR4.PCIDE and CR4.PGE are as [`TRANSLATIONS`](Self::TRANSLATIONS) says, and
///   [`forget_in_other_spaces`](Self::forget_in_other_spaces), where it is called, does that.
///
/// The CPU
/// - [ ] [`cpu`](Self::cpu) is below [`Cpus`](Self::Cpus), differs between any two CPUs, and is the same each time on one CPU.
/// - [ ] Between [`preempt_disable`](Self::preempt_disable) and the matching [`preempt_enable`](Self::preempt_enable), which
///   nest, no other thread runs on this CPU and this thread on no other.
/// - [ ] Between [`bh_disable`](Self::bh_disable) and the matching [`bh_enable`](Self::bh_enable), which nest, no softirq begins
///   on this CPU.
/// - [ ] After [`irq_save`](Self::irq_save), no maskable interrupt is served on this CPU until the matching
///   [`irq_restore`](Self::irq_restore).
/// - [ ] These three nest without end, since safe code can forget a context: a count that has no next number stays where it is for
///   good, or stops the machine, but does not begin again at zero.
/// - [ ] Nothing that safe code can do runs borrowed code on another CPU, or lends it to another thread, without `&mut Task` or
///   `&mut MaySleep`: the bytes of an atomic or a local mapping are borrowed from it, and another CPU would keep its translation. (A
///   `&mut MaySleepHere` is not enough.)
/// - [ ] Nothing else that safe code can do ends these states early. (Lock guards that restore a saved interrupt flag can be
///   dropped out of order: let them count how often interrupts were turned off, as `preempt_disable` does.)
///
/// Memory
/// - [ ] [`direct_map`](Self::direct_map) gives an address only for frames that are mapped there, as ordinary writable memory,
///   for good, and outside of the window.
/// - [ ] Each CPU has the instructions that [`copy_by`](Self::copy_by) names.
/// - [ ] [`copy_mc`](Self::copy_mc), where it is implemented, copies as it says.
/// - [ ] [`CACHES_ALIAS`](Self::CACHES_ALIAS) is as the processor is, and [`before_access`](Self::before_access) and
///   [`after_writes`](Self::after_writes), where they are called, do that.
pub unsafe trait Kernel: Sized + 'static {
    /// The paging mode that the kernel runs in.
    type Paging: Paging;

    /// The kernel's slot types: [`linux::Set`](crate::linux::Set), or what [`km_types!`](crate::km_types) declared.
    type KmTypes: KmTypes;

    /// How many CPUs the kernel supports at the most: `typenum::U1` and so on.
    type Cpus: Unsigned + NonZero;

    /// The processor: [`X86`](crate::machine::X86).
    type Machine: Machine;

    /// The page-table pages behind the window, and how CPUs share them: a [`Fixmap`](crate::Fixmap), of which each CPU has a part, or a
    /// [`CpuFixmap`](crate::fixmap::CpuFixmap), of which each CPU has its own.
    type Fixmap: FixmapTables;

    /// The virtual address of the window's first page; a multiple of what one page table covers (2 MiB with PAE).
    const FIXMAP_BASE: usize;

    /// What the attribute bits of an entry mean: the page attribute table.
    const PAT: Pat = Pat::POWER_ON;

    /// What translations of the window are bound to: PCIDs, and PTI.
    const TRANSLATIONS: Translations = Translations::Untagged;

    /// So many pages are forgotten one by one, by `invlpg`; of more, all translations are forgotten at once. For whatever forgets several: a
    /// [batch](crate::batch), the pool, page tables. Linux: `tlb_single_page_flush_ceiling`.
    const FLUSH_CEILING: usize = 33;

    /// Whether the processor's caches go by virtual addresses, so that a page that is mapped twice can be in them twice: then the kernel
    /// implements [`before_access`](Self::before_access) and [`after_writes`](Self::after_writes). Those of x86 do not.
    const CACHES_ALIAS: bool = false;

    /// Maps pages of the direct map through slots, too. For tests: a machine without high memory then runs the same code. On with
    /// the feature `debug`, unless the kernel says otherwise.
    const FORCE_MAP: bool = debug::ON;

    /// Whether the kernel wants to hear of each mapping: then it implements [`trace`](Self::trace).
    const TRACED: bool = false;

    /// How many slots each CPU has for [local maps](crate::local): `Locals::of::<Self>()`, if the kernel is a [`LocalKernel`].
    const LOCALS: Locals = Locals::NONE;

    /// The page-table pages behind the window: those of this CPU, if each has its own.
    fn fixmap() -> &'static Self::Fixmap;

    /// The number of the CPU that this code runs on. Called with preemption off; with a
    /// [`CpuFixmap`](crate::fixmap::CpuFixmap), only for reports. Linux: `smp_processor_id()`.
    fn cpu() -> usize;

    /// Keeps the running thread on this CPU, and others off it. Linux: `preempt_disable()`.
    fn preempt_disable();

    /// Ends the matching [`preempt_disable`](Self::preempt_disable); the outermost may switch to another thread.
    ///
    /// # Safety
    /// The caller ends a [`preempt_disable`](Self::preempt_disable) of its own.
    unsafe fn preempt_enable();

    /// Keeps softirqs out. Linux: `local_bh_disable()`. A kernel without softirqs has nothing to do here.
    #[inline]
    fn bh_disable() {}

    /// Ends the matching [`bh_disable`](Self::bh_disable).
    #[inline]
    ///
    /// # Safety
    /// The caller ends a [`bh_disable`](Self::bh_disable) of its own.
    unsafe fn bh_enable() {}

    /// Turns maskable interrupts off and says whether they were on. Linux: `local_irq_save()`.
    fn irq_save() -> bool;

    /// Turns interrupts on again if `were_on`. Linux: `local_irq_restore()`.
    ///
    /// # Safety
    /// The caller ends an [`irq_save`](Self::irq_save) of its own, which returned `were_on`; or it is an interrupt handler that
    /// has interrupts on again for a time, with `were_on` true, and none of its slots in use.
    unsafe fn irq_restore(were_on: bool);

    /// Whether page-table entries may forbid execution: EFER.NXE is set.
    ///
    /// Asked at each mapping: best a constant. A kernel that finds out at run time keeps an integer whose lowest bit is the answer
    /// (`NX.load(Relaxed) & 1 != 0` is one load, where an `AtomicBool` costs a comparison, too). What is mapped when the answer changes stays as
    /// it is: in [lazy](crate::lazy) slots until [`flush_lazy`](crate::lazy::flush_lazy).
    fn no_execute() -> bool;

    /// Where the kernel's direct map has this frame: `Some` for lowmem, `None` for highmem. Linux: `page_address()` of a lowmem
    /// page.
    fn direct_map(pfn: Pfn<Self::Paging>) -> Option<NonNull<PageBytes>>;

    /// Sees to it that no translation of the page at `address` is used any more on this CPU under another PCID than the one in use,
    /// before it is used under that. Called after `invlpg`, and only with [`Translations::Tagged`].
    ///
    /// A translation can be tagged with a PCID that was in use while the page was mapped. So a kernel that loads CR3 with preemption on
    /// only has nothing to do here. Any other runs INVPCID (type 0) for each such PCID, or notes that they are to be flushed when CR3 is
    /// next loaded with them, as Linux's `invalidate_other_asid()`.
    #[inline]
    fn forget_in_other_spaces(address: usize) {
        let _ = address;
        const {
            assert!(
                !Self::TRANSLATIONS.are_tagged(),
                "translations are tagged with PCIDs: implement `Kernel::forget_in_other_spaces`"
            );
        }
    }

    /// Sees to it that what was written to the page of `pfn` by way of other addresses can be read at `address`, where it is mapped now: what
    /// the caches have of its other addresses (those of user space, say) is written back and dropped, and what they have of this one is
    /// dropped. If it is `writable`, no other address may bring old bytes back later. Linux: `flush_dcache_page()`.
    ///
    /// Called with [`CACHES_ALIAS`](Self::CACHES_ALIAS) for each mapping of memory, before any of its bytes can be touched; for pages of the
    /// direct map, too, at their address there. A local map is mapped anew each time its thread is switched in, and may then be of a device.
    ///
    /// Called in any context in which pages are mapped, as often as they are: it does not sleep, nor map.
    #[inline]
    fn before_access(pfn: Pfn<Self::Paging>, address: usize, writable: bool) {
        let _ = (pfn, address, writable);
        const {
            assert!(!Self::CACHES_ALIAS, "caches go by virtual addresses: implement `Kernel::before_access`");
        }
    }

    /// Sees to it that what was written at `address` can be read at all others, and never comes back from there: what the caches have of this
    /// page is written back *and* dropped. Linux: `flush_kernel_dcache_page()`, `kunmap_flush_on_unmap()`.
    ///
    /// Called with [`CACHES_ALIAS`](Self::CACHES_ALIAS) at the end of each mapping of memory that lets writes through, while the page is still
    /// mapped there, and never for one that is read only. A local map ends each time its thread is switched out, and may then be of a device,
    /// as one can whose guard was forgotten. It is as well to do it twice: a guard can be interrupted between this and its end.
    ///
    /// A kernel that wants the page knows it from [`before_access`](Self::before_access) at the same address, on this CPU or, in the pool,
    /// another.
    #[inline]
    fn after_writes(address: usize) {
        let _ = address;
        const {
            assert!(!Self::CACHES_ALIAS, "caches go by virtual addresses: implement `Kernel::after_writes`");
        }
    }

    /// By which instructions memory is copied and cleared: asked at each copy, best a constant. What is provided is right on each processor.
    ///
    /// A kernel that wants the fastest looks for it when it starts, by [`CopyBy::of_this_cpu`], and keeps it.
    #[inline]
    fn copy_by() -> CopyBy {
        CopyBy::Words
    }

    /// Copies `len` bytes out of memory that may be broken, and gives how many at the end it has not copied: those from the first on whose
    /// access was a machine check. Linux: `copy_mc_to_kernel()`.
    ///
    /// The one that is provided copies all, as the processor's handler for machine checks lets it.
    ///
    /// # Safety
    /// The caller says that `from` is readable and `to` writable for `len` bytes, and that nobody has a Rust reference that the copy
    /// contradicts. The bytes may be the same, at one address or at two, if others may write them. An implementation writes to no others
    /// than those of `to`, makes no references to them, and counts right: each byte before those that it says are left was copied.
    #[inline]
    unsafe fn copy_mc(to: *mut u8, from: *const u8, len: usize) -> usize {
        // SAFETY: the caller's promise.
        unsafe { copy::copy(CopyBy::Words, to, from, len) };
        0
    }

    /// What the kernel's own accounts say about the code that runs now: asked at each mapping with the feature `debug`, to catch
    /// contexts that were entered in the wrong place. `None`: there are no accounts, and nothing is checked.
    fn state() -> Option<State> {
        None
    }

    /// Is told of broken promises, with the feature `debug`.
    ///
    /// # Panics
    /// Unless the kernel does something else with it.
    fn report(report: &Report) {
        panic!("{report}");
    }

    /// Is told what is mapped and unmapped on this CPU, and which handlers run, with [`TRACED`](Self::TRACED): see [`trace`](crate::trace).
    ///
    /// Called in any context in which pages are mapped, as often as they are: it does not sleep, nor map, and what it writes to has to stand
    /// being interrupted by another call. The CPU stays the same meanwhile, but for the pool's events.
    #[inline]
    fn trace(event: &Event) {
        let _ = event;
        const {
            assert!(!Self::TRACED, "the kernel is traced: implement `Kernel::trace`");
        }
    }
}

/// What the crate has to know beyond [`Kernel`] of a kernel that wants [`kmap`](crate::kmap()): threads that sleep, and other CPUs that can
/// be asked to flush.
///
/// # Safety
/// The implementer ticks off:
///
/// - [ ] Nobody else writes the entries of [`pool`](Self::pool) or uses the virtual addresses from [`PKMAP_BASE`](Self::PKMAP_BASE) on. The
///   direct map is elsewhere.
/// - [ ] When [`flush_all_cpus`](Self::flush_all_cpus) returns, each CPU has forgotten all translations of these pages, global or not, under
///   whatever PCID, or will before it can use them. With the one that is provided, this is a promise about
///   [`on_other_cpus`](Self::on_other_cpus): when it returns, each other CPU has run `work`, after the call and whole.
/// - [ ] [`wait`](Self::wait) returns only when the thread may go on, on any CPU, with preemption and interrupts as they were.
pub unsafe trait PoolKernel: Kernel {
    /// How many entries the pool has: as many as a page table (512 with PAE and in 64-bit mode, 1024 without PAE), or fewer.
    type PoolEntries: Unsigned + NonZero;

    /// The pool's type: [`Pool<512>`](crate::Pool), or `Pool<1024>` without PAE.
    type Pool: PoolTable;

    /// The virtual address of the pool's first page; a multiple of what one page table covers (2 MiB with PAE). The same for all CPUs.
    /// Linux: `PKMAP_BASE`.
    const PKMAP_BASE: usize;

    /// The pool.
    fn pool() -> &'static Self::Pool;

    /// Sleeps until `until` says yes, or somebody has the thread give up.
    ///
    /// Those who wait stand in a queue. `until` reads a few atomics; it may be asked at any time, by anybody, on any CPU. It has to be
    /// asked after the thread is in the queue, so that a [`wake_one`](Self::wake_one) between question and sleep is not lost.
    ///
    /// Called with nothing held, and with interrupts on. Linux: `prepare_to_wait()`, `schedule()`.
    ///
    /// # Errors
    /// When the thread is not to wait any longer, because of a signal, say. The caller of [`kmap`](crate::kmap()) gets
    /// [`Refusal::GaveUp`](crate::pool::Refusal::GaveUp).
    fn wait(thread: &mut MaySleep<'_, Self>, until: &(dyn Fn() -> bool + Sync)) -> Result<(), GaveUp>;

    /// Wakes the thread in [`wait`](Self::wait) whose `until` says yes now, if there is one. There is one at the most, and it need not be
    /// the first in the kernel's queue: who does not ask each of them wakes all.
    ///
    /// Called in any context, with interrupts on or off, and with no lock of this crate held.
    fn wake_one();

    /// Runs `work` on each other CPU that runs the kernel, in interrupt context or with preemption off, and waits until all have done it.
    /// Linux: `smp_call_function(.., wait = 1)`.
    ///
    /// Called with preemption and softirqs off and interrupts on, by one CPU at a time. A CPU that is about to wait for this one with
    /// interrupts off would make a circle; this crate has none that does.
    fn on_other_cpus(work: &(dyn Fn() + Sync));

    /// Has each CPU forget all translations of these addresses: whole pages. Linux: `flush_tlb_kernel_range()`.
    ///
    /// Called as [`on_other_cpus`](Self::on_other_cpus), on which the one that is provided rests. A kernel that can do better (lazily, for
    /// CPUs that are idle, say) does.
    fn flush_all_cpus(pages: Range<usize>) {
        // SAFETY: a kernel runs at privilege level 0.
        let flush = || unsafe { tlb::forget_pages::<Self>(pages.start, pages.len() / PAGE_SIZE) };
        Self::on_other_cpus(&flush);
        flush();
    }

    /// What a CPU does while it waits for another: between two looks at a lock, and while another CPU flushes.
    #[inline]
    fn relax() {
        core::hint::spin_loop();
    }

    /// The time, in a unit of the kernel's choice: for [`PoolStats::longest_wait`](crate::pool::PoolStats::longest_wait).
    fn now() -> u64 {
        0
    }
}

/// What the crate has to know beyond [`Kernel`] of a kernel whose user memory it copies: see the module [`user`](crate::user).
///
/// # Safety
/// The implementer ticks off:
///
/// - [ ] The addresses below [`USER_END`](Self::USER_END) are those of user space, or nobody's: nothing of the kernel is there, neither its
///   direct map nor the window nor the pool.
/// - [ ] Nobody has a Rust reference into a frame that is mapped there, as with [`SharedFrame`](crate::SharedFrame).
/// - [ ] Both functions access no user memory but that from the first byte on, up to the last of the `len`, and of the kernel's own memory
///   only the `len` bytes at the pointer. They write only to where they copy.
/// - [ ] What they give is how many bytes at the end were not copied, and all before those were: 0 to `len`. Bytes that user space could not
///   access itself, or not write, are not copied.
/// - [ ] They come back from each fault in user memory. With [`Faults::NotHandled`] they do not sleep, and the handler of the fault takes
///   no lock: they can be called in any context.
pub unsafe trait UserKernel: Kernel {
    /// The first address behind user memory. Linux: `TASK_SIZE_MAX`.
    const USER_END: usize;

    /// Copies `len` bytes from user memory, and gives how many of them, at the end, it has not copied. Linux: `raw_copy_from_user()`, with
    /// page faults as `faults` says.
    ///
    /// # Safety
    /// The caller says that `to` is writable for `len` bytes, and that nobody has a Rust reference that the copy contradicts; that `from`
    /// and `len` bytes behind it lie below [`USER_END`](Self::USER_END); and with [`Faults::Handled`], that it holds
    /// the `&mut MaySleep` of this thread, which it lends: to the handler of a fault, as to a function that it calls.
    unsafe fn copy_from_user(to: *mut u8, from: usize, len: usize, faults: Faults) -> usize;

    /// Copies `len` bytes to user memory, and gives how many of them, at the end, it has not copied. Linux: `raw_copy_to_user()`, with page
    /// faults as `faults` says.
    ///
    /// # Safety
    /// As [`copy_from_user`](Self::copy_from_user): `from` is readable, and `to` is the address in user memory.
    unsafe fn copy_to_user(to: usize, from: *const u8, len: usize, faults: Faults) -> usize;
}

/// What the crate has to know beyond [`Kernel`] of a kernel whose devices do not reach all memory: threads that sleep for a page of a
/// [`Reserve`](crate::bounce::Reserve).
///
/// It is not the [`PoolKernel`]'s queue, where one thread at a time can go on: a kernel has one pool, and as many reserves as it likes.
///
/// # Safety
/// The implementer ticks off:
///
/// - [ ] [`wait`](Self::wait) returns only when the thread may go on, on any CPU, with preemption and interrupts as they were.
pub unsafe trait BounceKernel: Kernel {
    /// Sleeps until `until` says yes, or somebody has the thread give up. As [`PoolKernel::wait`]: `until` reads a few atomics, and is to be
    /// asked after the thread is in the kernel's queue.
    ///
    /// Called with nothing held, and with interrupts on. Linux: `prepare_to_wait()`, `io_schedule()`.
    ///
    /// # Errors
    /// When the thread is not to wait any longer. Its request is [refused](crate::bounce::Refusal::GaveUp).
    fn wait(thread: &mut MaySleep<'_, Self>, until: &(dyn Fn() -> bool + Sync)) -> Result<(), GaveUp>;

    /// Wakes each thread in [`wait`](Self::wait) whose `until` says yes now. Who does not ask each of them wakes all.
    ///
    /// Called in any context but an NMI's, with interrupts on or off, and with no lock of this crate held.
    fn wake();

    /// What a CPU does between two looks at a lock that another CPU has.
    #[inline]
    fn relax() {
        core::hint::spin_loop();
    }

    /// The time, in a unit of the kernel's choice: for [`ReserveStats::longest_wait`](crate::bounce::ReserveStats::longest_wait).
    fn now() -> u64 {
        0
    }
}

/// What the crate has to know beyond [`Kernel`] of a kernel whose [page tables](crate::pagetable) it edits.
///
/// # Safety
/// The implementer ticks off:
///
/// - [ ] [`is_memory`](Self::is_memory) says yes only for ordinary memory, which a walk may map and read.
/// - [ ] [`PCIDS`](Self::PCIDS) is as CR4.PCIDE is, but where the kernel has no other PCID than 0.
/// - [ ] When [`flush`](Self::flush) returns, each CPU that [`Scope::cpus`] names has forgotten the translations of these pages, and what it
///   remembers of the tables above them, or will before it can use them. With the one that is provided, this is a promise about
///   [`on_cpus`](Self::on_cpus): when it returns, each of these CPUs has run `work`, after the call and whole. One that has left the space
///   and kept nothing of it is not one of these, nor is one that loads CR3 before it uses the space again.
pub unsafe trait PageTableKernel: Kernel {
    /// Whether CR4.PCIDE is set, or may be: a CPU then keeps translations of spaces that it does not use.
    const PCIDS: bool;

    /// Whether there is memory at this frame. A table that refers to another frame is corrupt, and an error. Asked at each level of each walk.
    fn is_memory(pfn: Pfn<Self::Paging>) -> bool;

    /// Runs `work` on these CPUs, and waits until all have done it; on this one, too, if it is one of them. Linux: `on_each_cpu_mask()`.
    ///
    /// Called with preemption off and interrupts on, by several CPUs at the same time perhaps: who waits here goes on to serve others.
    fn on_cpus(cpus: Cpus<Self::Paging>, work: &(dyn Fn() + Sync));

    /// Has CPUs forget. Linux: `flush_tlb_mm_range()`.
    ///
    /// Called as [`on_cpus`](Self::on_cpus), on which the one that is provided rests. A kernel that can do better (lazily, for CPUs that
    /// are idle, or by INVPCID) does.
    fn flush(scope: &Scope<Self::Paging>) {
        // SAFETY: a kernel runs at privilege level 0, and `on_cpus` keeps `work` on its CPU.
        Self::on_cpus(scope.cpus(), &|| unsafe { scope.flush_here::<Self>() });
    }
}

/// What the crate has to know beyond [`Kernel`] of a kernel that wants [local maps](crate::local).
///
/// The kernel sets [`Kernel::LOCALS`] to [`Locals::of::<Self>()`](Locals::of): with other numbers, mapping does not compile. A level that
/// is not wanted has `typenum::U0` slots.
///
/// # Safety
/// The implementer ticks off:
///
/// - [ ] Each thread has a [`SaveArea`](Self::SaveArea) of its own, new or [reset](crate::local::SaveArea::reset) when the thread begins,
///   and [`save_area`](Self::save_area) gives that of the thread that runs, as long as it runs. Called by threads only.
/// - [ ] At each switch from one thread to another, on the CPU that switches, with preemption or interrupts off: first
///   [`switch_out`](crate::local::switch_out) with the area of the one, then [`switch_in`](crate::local::switch_in) with that of the
///   other. Between the two, nobody maps in a slot of a task.
/// - [ ] A thread that is switched out, and whose area has [`pinned_to`](crate::local::SaveArea::pinned_to) a CPU, goes on on that CPU.
pub unsafe trait LocalKernel: Kernel {
    /// How many pages a task can have mapped at a time, one under the other.
    type TaskLevels: Unsigned;
    /// How many a task can with preemption off, beside those.
    type AtomicLevels: Unsigned;
    /// How many a softirq can, or a task that keeps softirqs out.
    type SoftirqLevels: Unsigned;
    /// How many an interrupt handler can, or who has interrupts off.
    type IrqLevels: Unsigned;
    /// How many a non-maskable interrupt can.
    type NmiLevels: Unsigned;

    /// What a thread's maps are kept in while it does not run: [`SaveArea<8>`](crate::local::SaveArea) with eight
    /// [`TaskLevels`](Self::TaskLevels).
    type SaveArea: SaveLevels;

    /// The area of the thread that runs.
    fn save_area() -> NonNull<Self::SaveArea>;
}

/// What becomes of a page fault during a copy: of [`UserKernel`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Faults {
    /// Its handler brings the page in, and may sleep for that. Only if there is nothing to bring in, the copy ends.
    Handled,
    /// The first one ends the copy. Linux: `pagefault_disable()`.
    NotHandled,
}

/// A thread is not to wait any longer: of [`PoolKernel::wait`] and [`BounceKernel::wait`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GaveUp;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux;
    use crate::test_kernel::{FIXMAP_BASE, OfSize};
    use typenum::U1;

    #[test]
    #[should_panic = "slot User0 at src/kernel.rs"]
    fn a_report_is_a_panic_unless_the_kernel_does_something_else_with_it() {
        let caller = core::panic::Location::caller();
        let report = Report::NoSuchCpu { slot: "User0", cpu: 1, cpus: 1, caller };
        OfSize::<linux::Set, U1, FIXMAP_BASE, 1>::report(&report);
    }
}
