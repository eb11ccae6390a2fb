//! A kernel for the unit tests: its processor writes down what it is asked to do, its lowmem is a few pages of the host.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ptr::NonNull;
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::string::{String, ToString};
use std::vec::Vec;

use typenum::{NonZero, U2, U4, Unsigned};

use crate::debug::{Report, State};
use crate::fixmap::{CpuFixmap, FixmapTables};
use crate::kernel::GaveUp;
use crate::machine::recorder::{Event, Recorder};
use crate::pagetable::Cpus;
use crate::paging::Pae;
use crate::tlb::Translations;
use crate::trace;
use crate::{
    BounceKernel, Fixmap, Kernel, KmTypes, MaySleep, PAGE_SIZE, PageBytes, PageTableKernel, Pfn, Pool, PoolKernel,
    linux,
};

pub(crate) const FIXMAP_BASE: usize = 0xffc0_0000;

/// The slots of a CPU of this kernel.
pub(crate) const SLOTS: usize = 13;

/// The frames below this one are lowmem.
pub(crate) const LOWMEM_FRAMES: usize = 4;

std::thread_local! {
    pub(crate) static CPU: Cell<usize> = const { Cell::new(0) };
    pub(crate) static NO_EXECUTE: Cell<bool> = const { Cell::new(true) };
    /// What contexts asked of the kernel, in order.
    static CALLS: Cell<Vec<&'static str>> = const { Cell::new(Vec::new()) };
    /// What the kernel says that it is doing, and what was reported to it.
    pub(crate) static STATE: Cell<Option<State>> = const { Cell::new(None) };
    pub(crate) static REPORTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// What a traced kernel was told.
    static TRACE: RefCell<Vec<trace::Event>> = const { RefCell::new(Vec::new()) };
    static POOL: &'static Pool<512> = Box::leak(Box::new(Pool::new::<TestKernel<false>>()));
    /// What others do while this thread waits for an entry of the pool or for another CPU, wait by wait.
    pub(crate) static MEANWHILE: RefCell<VecDeque<Box<dyn FnOnce()>>> = const { RefCell::new(VecDeque::new()) };
    /// How often somebody was woken.
    pub(crate) static WOKEN: Cell<u32> = const { Cell::new(0) };
    pub(crate) static IRQS_ON: Cell<bool> = const { Cell::new(true) };
    // Leaked: each thread, that is each test, has its own.
    static TABLES: &'static Fixmap<1> = Box::leak(Box::new(Fixmap::new::<TestKernel<false>>()));
    static LOWMEM: &'static Lowmem =
        Box::leak(Box::new(Lowmem(UnsafeCell::new([[0; PAGE_SIZE]; LOWMEM_FRAMES]))));
}

#[repr(align(4096))]
struct Lowmem(UnsafeCell<[PageBytes; LOWMEM_FRAMES]>);

/// The calls that `f` made to the kernel.
pub(crate) fn calls(f: impl FnOnce()) -> Vec<&'static str> {
    CALLS.take();
    f();
    CALLS.take()
}

fn call(name: &'static str) {
    let mut calls = CALLS.take();
    calls.push(name);
    CALLS.set(calls);
}

/// Which page of the window a slot of a CPU is.
pub(crate) fn page(cpu: usize, slot: usize) -> usize {
    if cfg!(feature = "debug") { cpu * (2 * SLOTS + 1) + 2 * slot + 1 } else { cpu * SLOTS + slot }
}

/// The entry behind page `index` of the window, in this thread's tables.
pub(crate) fn entry(index: usize) -> u64 {
    let first = (&raw const *TABLES.with(|tables| *tables)).cast::<u64>();
    // SAFETY: I1: within the one table, which only this thread writes.
    unsafe { first.add(index).read_volatile() }
}

/// Where the entry behind page `index` of the window lies.
pub(crate) fn entry_address(index: usize) -> usize {
    (&raw const *TABLES.with(|tables| *tables)).addr() + index * size_of::<u64>()
}

/// What is not the same for all kernels.
pub(crate) trait Variant: 'static {
    type Fixmap: FixmapTables;
    const TRANSLATIONS: Translations;
    const TRACED: bool = false;
    fn fixmap() -> &'static Self::Fixmap;
}

/// Each CPU has a part of one window.
pub(crate) struct Shared;

impl Variant for Shared {
    type Fixmap = Fixmap<1>;
    const TRANSLATIONS: Translations = Translations::Untagged;

    fn fixmap() -> &'static Fixmap<1> {
        TABLES.with(|tables| *tables)
    }
}

/// Each CPU has its own window (here, they are one, and there is one CPU at a time); translations are tagged.
pub(crate) struct OwnTables;

impl Variant for OwnTables {
    type Fixmap = CpuFixmap<1>;
    const TRANSLATIONS: Translations = Translations::Tagged;

    fn fixmap() -> &'static CpuFixmap<1> {
        // SAFETY: I9: both are one table, and this thread's.
        unsafe { &*(&raw const *TABLES.with(|tables| *tables)).cast() }
    }
}

/// As [`Shared`], with global translations.
pub(crate) struct GlobalTranslations;

impl Variant for GlobalTranslations {
    type Fixmap = Fixmap<1>;
    const TRANSLATIONS: Translations = Translations::Global;

    fn fixmap() -> &'static Fixmap<1> {
        Shared::fixmap()
    }
}

/// As [`Shared`], and the kernel hears of what is mapped.
pub(crate) struct Traced;

impl Variant for Traced {
    type Fixmap = Fixmap<1>;
    const TRANSLATIONS: Translations = Translations::Untagged;
    const TRACED: bool = true;

    fn fixmap() -> &'static Fixmap<1> {
        Shared::fixmap()
    }
}

/// What a traced kernel was told meanwhile.
pub(crate) fn traced(f: impl FnOnce()) -> Vec<trace::Event> {
    TRACE.take();
    f();
    TRACE.take()
}

pub(crate) struct TestKernel<const FORCE_MAP: bool, T = linux::Set, V = Shared>(PhantomData<(T, V)>);

// SAFETY: I1: the entries are read by no page walker, and each thread has its own; nothing is preempted or interrupted.
unsafe impl<const FORCE_MAP: bool, T: KmTypes, V: Variant> Kernel for TestKernel<FORCE_MAP, T, V> {
    type Paging = Pae;
    type KmTypes = T;
    type Cpus = U2;
    type Machine = Recorder;
    type Fixmap = V::Fixmap;

    const FIXMAP_BASE: usize = FIXMAP_BASE;
    const TRANSLATIONS: Translations = V::TRANSLATIONS;
    const FORCE_MAP: bool = FORCE_MAP;
    const TRACED: bool = V::TRACED;

    fn fixmap() -> &'static V::Fixmap {
        V::fixmap()
    }

    fn forget_in_other_spaces(address: usize) {
        Recorder::note(Event::OtherSpaces(address));
    }

    fn cpu() -> usize {
        CPU.get()
    }

    fn preempt_disable() {
        call("preempt_disable");
    }

    unsafe fn preempt_enable() {
        call("preempt_enable");
    }

    fn bh_disable() {
        call("bh_disable");
    }

    unsafe fn bh_enable() {
        call("bh_enable");
    }

    fn irq_save() -> bool {
        call("irq_save");
        IRQS_ON.replace(false)
    }

    unsafe fn irq_restore(were_on: bool) {
        call(if were_on { "irq_restore(on)" } else { "irq_restore(off)" });
        IRQS_ON.set(were_on);
    }

    fn no_execute() -> bool {
        NO_EXECUTE.get()
    }

    fn state() -> Option<State> {
        STATE.get()
    }

    fn report(report: &Report) {
        REPORTS.with_borrow_mut(|reports| reports.push(report.to_string()));
    }

    fn trace(event: &trace::Event) {
        // The slot is held: its entry is there while anybody is told of it. Otherwise the event is missed.
        let is_there = match *event {
            trace::Event::Mapped { address, .. } | trace::Event::Unmapped { address, .. } => {
                entry((address - FIXMAP_BASE) / PAGE_SIZE) != 0
            }
            trace::Event::PoolMapped { address, .. } | trace::Event::PoolUnmapped { address } => {
                pool_entry((address - PKMAP_BASE) / PAGE_SIZE) != 0
            }
            _ => true,
        };
        if is_there {
            TRACE.with_borrow_mut(|events| events.push(*event));
        }
    }

    fn direct_map(pfn: Pfn<Pae>) -> Option<NonNull<PageBytes>> {
        let page = LOWMEM.with(|lowmem| lowmem.0.get()).cast::<PageBytes>().wrapping_add(pfn.number());
        (pfn.number() < LOWMEM_FRAMES).then(|| NonNull::new(page).expect("a leaked box is not null"))
    }
}

/// Where the pool of the test kernel is.
pub(crate) const PKMAP_BASE: usize = 0xfe00_0000;

/// The entry of the pool's page `index`, in this thread's table.
pub(crate) fn pool_entry(index: usize) -> u64 {
    let first = (&raw const *POOL.with(|pool| *pool).table()).cast::<u64>();
    // SAFETY: I1: within the one table, which only this thread writes.
    unsafe { first.add(index).read_volatile() }
}

// SAFETY: I8: there is no page walker, and no other CPU.
unsafe impl<const FORCE_MAP: bool, V: Variant> PoolKernel for TestKernel<FORCE_MAP, linux::Set, V> {
    type PoolEntries = U4;
    type Pool = Pool<512>;

    const PKMAP_BASE: usize = PKMAP_BASE;

    fn pool() -> &'static Pool<512> {
        POOL.with(|pool| *pool)
    }

    fn wait(_: &mut MaySleep<'_, Self>, until: &(dyn Fn() -> bool + Sync)) -> Result<(), GaveUp> {
        call("wait");
        while !until() {
            let next = MEANWHILE.with_borrow_mut(VecDeque::pop_front);
            next.ok_or(GaveUp)?();
        }
        Ok(())
    }

    fn wake_one() {
        WOKEN.set(WOKEN.get() + 1);
    }

    fn relax() {
        call("relax");
        let next = MEANWHILE.with_borrow_mut(VecDeque::pop_front);
        next.expect("a CPU waits for another that never comes")();
    }

    fn on_other_cpus(work: &(dyn Fn() + Sync)) {
        // The other CPU.
        call("on_other_cpus");
        work();
    }

    fn now() -> u64 {
        7 * WOKEN.get() as u64
    }
}

// SAFETY: there are no other threads.
unsafe impl<const FORCE_MAP: bool> BounceKernel for TestKernel<FORCE_MAP> {
    fn wait(thread: &mut MaySleep<'_, Self>, until: &(dyn Fn() -> bool + Sync)) -> Result<(), GaveUp> {
        <Self as PoolKernel>::wait(thread, until)
    }

    fn wake() {
        Self::wake_one();
    }

    fn now() -> u64 {
        <Self as PoolKernel>::now()
    }
}

// SAFETY: there is memory at these frames. No CPU uses the tables.
unsafe impl<const FORCE_MAP: bool> PageTableKernel for TestKernel<FORCE_MAP> {
    const PCIDS: bool = false;

    fn is_memory(pfn: Pfn<Pae>) -> bool {
        pfn.number() < LOWMEM_FRAMES
    }

    fn on_cpus(cpus: Cpus<Pae>, work: &(dyn Fn() + Sync)) {
        call(if cpus == Cpus::All { "on_cpus(all)" } else { "on_cpus(of a space)" });
        work();
    }
}

/// A kernel of which there is only the size.
pub(crate) struct OfSize<T, C, const BASE: usize, const TABLES: usize>(PhantomData<(T, C)>);

// SAFETY: nothing is ever mapped.
unsafe impl<T: KmTypes, C: Unsigned + NonZero + 'static, const BASE: usize, const TABLES: usize> Kernel
    for OfSize<T, C, BASE, TABLES>
{
    type Paging = Pae;
    type KmTypes = T;
    type Cpus = C;
    type Machine = Recorder;
    type Fixmap = Fixmap<TABLES>;

    const FIXMAP_BASE: usize = BASE;

    fn fixmap() -> &'static Fixmap<TABLES> {
        unreachable!()
    }
    fn cpu() -> usize {
        unreachable!()
    }
    fn preempt_disable() {}
    unsafe fn preempt_enable() {}
    fn irq_save() -> bool {
        unreachable!()
    }
    unsafe fn irq_restore(_: bool) {}
    fn no_execute() -> bool {
        unreachable!()
    }
    fn direct_map(_: Pfn<Pae>) -> Option<NonNull<PageBytes>> {
        unreachable!()
    }
}
