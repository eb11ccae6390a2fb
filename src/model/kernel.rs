//! The kernel that runs on the machine: [`Kernel`] from the CPUs' accounts.

use core::convert::Infallible;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;
use std::string::ToString;
use std::thread;

use typenum::{U2, U3, U4, U8, Unsigned};

use super::hardware::Hardware;
use super::pool::{ModelPool, PoolSize};
use super::{cpu, layout, machine, mmu, user};
use crate::context::MaySleep;
use crate::copy::{self, CopyBy};
use crate::debug::{Report, State};
use crate::kernel::{BounceKernel, Faults, GaveUp, LocalKernel, PageTableKernel, PoolKernel, UserKernel};
use crate::local::Locals;
use crate::pagetable::Cpus;
use crate::paging::sealed::Sealed;
use crate::paging::{Pae, Paging};
use crate::slot::KmTypes;
use crate::{Fixmap, Kernel, PageBytes, Pfn, linux};

/// What a machine and its kernel depend on, and have none of.
pub(super) type Parameters<P, T, E> = PhantomData<fn() -> (P, T, E)>;

/// How many CPUs a machine can have.
pub(super) const CPUS: usize = U8::USIZE;

/// How many local maps a task can have.
pub(super) type TaskLevels = U8;

/// A kernel that runs on a [`Machine`](super::Machine): what code under test names where it names its kernel.
///
/// `P` is the paging mode, `T` the set of slot types, `FORCE_MAP` is [`Kernel::FORCE_MAP`], and `E` [`PoolKernel::PoolEntries`].
#[derive(Debug)]
pub struct ModelKernel<P = Pae, T = linux::Set, const FORCE_MAP: bool = false, E = U4>(Infallible, Parameters<P, T, E>);

// SAFETY: the checklist. The window: the model watches these tables, whose addresses nobody else has; a read-only page is one on the
// host; frames beyond the paging mode's numbers do not exist. The CPU: a thread is one CPU at a time, and nobody else is that one;
// nothing interrupts it but the model, which asks the accounts. Lowmem: the direct map is mapped as long as the machine runs.
unsafe impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> Kernel for ModelKernel<P, T, FORCE_MAP, E> {
    type Paging = P;
    type KmTypes = T;
    type Cpus = U8;
    type Machine = Hardware<P>;
    type Fixmap = Fixmap<{ layout::WINDOW_TABLES }>;

    const FIXMAP_BASE: usize = layout::BASE;
    const FORCE_MAP: bool = FORCE_MAP;
    const LOCALS: Locals = Locals::of::<Self>();

    fn fixmap() -> &'static Self::Fixmap {
        // SAFETY: I9: zeroed, and one machine at a time uses them.
        const { unsafe { Fixmap::from_tables::<Self>(layout::window()) } }
    }

    fn cpu() -> usize {
        cpu::number()
    }

    fn preempt_disable() {
        cpu::preempt_disable();
    }

    unsafe fn preempt_enable() {
        cpu::preempt_enable();
    }

    fn bh_disable() {
        cpu::bh_disable();
    }

    unsafe fn bh_enable() {
        cpu::bh_enable();
    }

    fn irq_save() -> bool {
        cpu::irq_save()
    }

    unsafe fn irq_restore(were_on: bool) {
        cpu::irq_restore(were_on);
    }

    fn no_execute() -> bool {
        machine::NO_EXECUTE.load(Relaxed)
    }

    fn direct_map(pfn: Pfn<P>) -> Option<NonNull<PageBytes>> {
        machine::direct_map(pfn.number())
    }

    fn copy_by() -> CopyBy {
        machine::COPY_BY.load()
    }

    unsafe fn copy_mc(to: *mut u8, from: *const u8, len: usize) -> usize {
        let whole = cpu::machine().whole(from.addr(), len);
        // SAFETY: the caller's promise, for some of the bytes.
        unsafe { copy::copy(Self::copy_by(), to, from, whole) };
        len - whole
    }

    fn state() -> Option<State> {
        Some(cpu::state())
    }

    fn report(report: &Report) {
        mmu::with(|mmu| mmu.report(report.to_string()));
        assert!(thread::panicking() || !machine::PANIC_ON_REPORT.load(Relaxed), "{report}");
    }
}

// SAFETY: the checklist. The addresses are the model's own, and the walkers look into the table of the pool that is in use. `on_other_cpus`
// waits until each CPU has run `work`: in an interrupt of its own, or, if no thread is that CPU, by this thread as that CPU. `wait` returns on
// the same CPU, whose accounts nobody has changed.
unsafe impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> PoolKernel for ModelKernel<P, T, FORCE_MAP, E> {
    type PoolEntries = E;
    type Pool = <P as Sealed>::ModelPool;

    const PKMAP_BASE: usize = layout::pool_base::<P>();

    fn pool() -> &'static Self::Pool {
        ModelPool::current()
    }

    fn wait(_thread: &mut MaySleep<'_, Self>, until: &(dyn Fn() -> bool + Sync)) -> Result<(), GaveUp> {
        cpu::wait(until)
    }

    fn wake_one() {
        cpu::wake();
    }

    fn on_other_cpus(work: &(dyn Fn() + Sync)) {
        cpu::on_other_cpus(work);
    }

    fn relax() {
        cpu::pause();
    }

    fn now() -> u64 {
        cpu::steps() as u64
    }
}

// SAFETY: the checklist. Each thread that is a CPU, and each that preempts one, has an area of its own; `Cpu::switch_now` and its like call
// both hooks, on the one CPU that both are on.
unsafe impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> LocalKernel for ModelKernel<P, T, FORCE_MAP, E> {
    type TaskLevels = TaskLevels;
    type AtomicLevels = U3;
    type SoftirqLevels = U3;
    type IrqLevels = U4;
    type NmiLevels = U2;
    type SaveArea = cpu::Area;

    fn save_area() -> NonNull<cpu::Area> {
        cpu::area()
    }
}

// SAFETY: the checklist, as for the pool.
unsafe impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> BounceKernel
    for ModelKernel<P, T, FORCE_MAP, E>
{
    fn wait(_thread: &mut MaySleep<'_, Self>, until: &(dyn Fn() -> bool + Sync)) -> Result<(), GaveUp> {
        cpu::wait(until)
    }

    fn wake() {
        cpu::wake();
    }

    fn relax() {
        cpu::pause();
    }

    fn now() -> u64 {
        cpu::steps() as u64
    }
}

// SAFETY: the checklist. The frames that there are, are memory. `on_cpus` runs `work` on all CPUs, and waits for them.
unsafe impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> PageTableKernel
    for ModelKernel<P, T, FORCE_MAP, E>
{
    const PCIDS: bool = false;

    fn is_memory(pfn: Pfn<P>) -> bool {
        pfn.number() < cpu::machine().memory.count()
    }

    fn on_cpus(_cpus: Cpus<P>, work: &(dyn Fn() + Sync)) {
        cpu::on_other_cpus(work);
        work();
    }
}

// SAFETY: the checklist. User memory has no addresses in the process; what belongs to the model is behind it. Its bytes belong to the model
// alone, and a copy comes back from a page that is not there. It takes locks that nobody holds over a step.
unsafe impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> UserKernel for ModelKernel<P, T, FORCE_MAP, E> {
    const USER_END: usize = if P::LONG_MODE { layout::BASE } else { 0xc000_0000 };

    unsafe fn copy_from_user(to: *mut u8, from: usize, len: usize, faults: Faults) -> usize {
        user::copy((from, len), false, faults, |part, at| {
            // SAFETY: the caller's promise: within the `len` bytes.
            unsafe { copy::copy(Self::copy_by(), to.add(at), part.as_ptr(), part.len()) };
        })
    }

    unsafe fn copy_to_user(to: usize, from: *const u8, len: usize, faults: Faults) -> usize {
        user::copy((to, len), true, faults, |part, at| {
            // SAFETY: the caller's promise: within the `len` bytes.
            unsafe { copy::copy(Self::copy_by(), part.as_mut_ptr(), from.add(at), part.len()) };
        })
    }
}
