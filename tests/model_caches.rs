//! A kernel whose caches go by virtual addresses is told of each mapping: before its bytes can be touched, and, if they could be written, at
//! its end, while the page is still there.

mod model;

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem;
use std::ptr::{self, NonNull};

use highmem::debug::Report;
use highmem::kernel::GaveUp;
use highmem::local::Locals;
use highmem::model::{self as highmem_model, Config, Hardware, ModelKernel, Zone};
use highmem::page::Uncached;
use highmem::paging::{PAGE_SHIFT, Paging, Pat};
use highmem::{
    DeviceFrame, Kernel, LocalKernel, MaySleep, PAGE_SIZE, Page, PageBytes, Pfn, PoolKernel, Slot, Task,
    clear_highpage, copy_highpage, kmap, kmap_all, kmap_atomic, kmap_batch, kmap_local_page, kunmap, kunmap_atomic,
    kunmap_local, local, memcpy_to_page, page_address, try_kmap,
};
use km::{Set, User0};
use model::in_each_mode;

highmem::km_types! {
    mod km {
        atomic { user0: User0, user1: User1, few: Few[3], many: Many[40] }
        irqsoff { irq0: Irq0 }
    }
}

type Inner<P> = ModelKernel<P, Set>;
type Machine<P> = highmem_model::Machine<P, Set>;

in_each_mode!(
    a_slot_is_told_before_and_while_it_is_mapped,
    what_is_only_read_is_told_before_and_not_after,
    pages_of_the_direct_map_are_told_as_well,
    the_pool_tells_each_user,
    a_batch_tells_each_of_its_pages,
    operations_tell_what_they_write,
    a_local_map_is_told_at_each_switch,
    a_forgotten_guard_is_told_when_it_is_found,
    a_device_is_not_told,
    what_was_written_is_seen_elsewhere,
);

/// The model's kernel, with caches that go by virtual addresses.
struct Aliasing<P>(PhantomData<P>);

type K<P> = Aliasing<P>;

/// What the kernel was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// Of a mapping to be read, or to be written, which was there.
    Before { pfn: usize, at: usize, writable: bool },
    /// Of its end, before it.
    After { at: usize },
    /// Of an address at which nothing is.
    NothingThere { at: usize },
}
use Told::{After, Before, NothingThere};

/// What the cache has of a page at the address that user space has it at.
#[derive(Clone, Copy)]
struct Line {
    pfn: usize,
    byte: u8,
    dirty: bool,
}

thread_local! {
    static TOLD: RefCell<Vec<Told>> = const { RefCell::new(Vec::new()) };
    /// Broken promises.
    static REPORTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// The machine that runs, a `Machine<P>`.
    static MACHINE: Cell<*const ()> = const { Cell::new(ptr::null()) };
    static LINE: Cell<Option<Line>> = const { Cell::new(None) };
}

/// The machine that runs.
fn machine<P: Paging>() -> &'static Machine<P> {
    // SAFETY: `run` has set it, in the same mode, and lasts longer than all calls of the kernel.
    unsafe { MACHINE.get().cast::<Machine<P>>().as_ref() }.expect("the kernel runs")
}

/// Runs `f` as a task of the kernel, and gives what it was told.
fn run<P: Paging>(machine: &Machine<P>, f: impl FnOnce(&mut Task<'_, K<P>>)) -> Vec<Told> {
    let (told, reports) = run_and_report(machine, f);
    assert!(reports.is_empty(), "{reports:?}");
    told
}

/// The same for a task that may break promises, and what was reported of that.
fn run_and_report<P: Paging>(machine: &Machine<P>, f: impl FnOnce(&mut Task<'_, K<P>>)) -> (Vec<Told>, Vec<String>) {
    TOLD.take();
    machine.cpu(0).task(|_| {
        MACHINE.set((&raw const *machine).cast());
        // SAFETY: I1: the thread is the CPU, and this is its only task that has slots.
        unsafe { Task::<K<P>>::enter(f) };
        MACHINE.set(ptr::null());
    });
    (TOLD.take(), REPORTS.take())
}

/// The frame that is at an address now, as the processor sees it.
fn frame_at<P: Paging>(address: usize) -> Option<usize> {
    let first = Inner::<P>::direct_map(Pfn::new(0).unwrap()).expect("the first frame is lowmem").as_ptr().addr();
    let low = address.checked_sub(first).map(|bytes| bytes >> PAGE_SHIFT);
    let low = low.filter(|&pfn| Inner::<P>::direct_map(Pfn::new(pfn as u64).unwrap()).is_some());
    low.or_else(|| Some(machine::<P>().translation(address)?.pfn as usize))
}

fn tell(what: Told) {
    TOLD.with_borrow_mut(|told| told.push(what));
}

/// The cache writes back what user space has written to this frame, and drops what it has of it.
fn flush_user<P: Paging>(pfn: usize) {
    if let Some(line) = LINE.take().filter(|line| line.pfn == pfn)
        && line.dirty
    {
        machine::<P>().poke(Pfn::new(pfn as u64).unwrap(), 0, &[line.byte]);
    }
}

// SAFETY: all is the model's kernel's.
unsafe impl<P: Paging> Kernel for Aliasing<P> {
    type Paging = P;
    type KmTypes = Set;
    type Cpus = <Inner<P> as Kernel>::Cpus;
    type Machine = Hardware<P>;
    type Fixmap = <Inner<P> as Kernel>::Fixmap;

    const FIXMAP_BASE: usize = Inner::<P>::FIXMAP_BASE;
    const PAT: Pat = Inner::<P>::PAT;
    const LOCALS: Locals = Locals::of::<Self>();
    const CACHES_ALIAS: bool = true;
    const FORCE_MAP: bool = false;

    fn fixmap() -> &'static Self::Fixmap {
        Inner::<P>::fixmap()
    }

    fn cpu() -> usize {
        Inner::<P>::cpu()
    }

    fn preempt_disable() {
        Inner::<P>::preempt_disable();
    }

    unsafe fn preempt_enable() {
        // SAFETY: the caller's promise.
        unsafe { Inner::<P>::preempt_enable() }
    }

    fn irq_save() -> bool {
        Inner::<P>::irq_save()
    }

    unsafe fn irq_restore(were_on: bool) {
        // SAFETY: the caller's promise.
        unsafe { Inner::<P>::irq_restore(were_on) }
    }

    fn no_execute() -> bool {
        Inner::<P>::no_execute()
    }

    fn direct_map(pfn: Pfn<P>) -> Option<NonNull<PageBytes>> {
        Inner::<P>::direct_map(pfn)
    }

    fn report(report: &Report) {
        REPORTS.with_borrow_mut(|reports| reports.push(report.to_string()));
    }

    fn before_access(pfn: Pfn<P>, address: usize, writable: bool) {
        let is_there = frame_at::<P>(address) == Some(pfn.number());
        let told = Before { pfn: pfn.number(), at: address, writable };
        tell(if is_there { told } else { NothingThere { at: address } });
        flush_user::<P>(pfn.number());
    }

    fn after_writes(address: usize) {
        let frame = frame_at::<P>(address);
        tell(frame.map_or(NothingThere { at: address }, |_| After { at: address }));
        frame.into_iter().for_each(flush_user::<P>);
    }
}

// SAFETY: all is the model's kernel's; nobody waits.
unsafe impl<P: Paging> PoolKernel for Aliasing<P> {
    type PoolEntries = <Inner<P> as PoolKernel>::PoolEntries;
    type Pool = <Inner<P> as PoolKernel>::Pool;

    const PKMAP_BASE: usize = Inner::<P>::PKMAP_BASE;

    fn pool() -> &'static Self::Pool {
        Inner::<P>::pool()
    }

    fn wait(_: &mut MaySleep<'_, Self>, _: &(dyn Fn() -> bool + Sync)) -> Result<(), GaveUp> {
        Err(GaveUp)
    }

    fn wake_one() {}

    fn on_other_cpus(work: &(dyn Fn() + Sync)) {
        Inner::<P>::on_other_cpus(work);
    }
}

// SAFETY: all is the model's kernel's.
unsafe impl<P: Paging> LocalKernel for Aliasing<P> {
    type TaskLevels = <Inner<P> as LocalKernel>::TaskLevels;
    type AtomicLevels = <Inner<P> as LocalKernel>::AtomicLevels;
    type SoftirqLevels = <Inner<P> as LocalKernel>::SoftirqLevels;
    type IrqLevels = <Inner<P> as LocalKernel>::IrqLevels;
    type NmiLevels = <Inner<P> as LocalKernel>::NmiLevels;
    type SaveArea = <Inner<P> as LocalKernel>::SaveArea;

    fn save_area() -> NonNull<Self::SaveArea> {
        Inner::<P>::save_area()
    }
}

/// What is told of a mapping that is written, from its beginning to its end.
fn written<P: Paging>(page: &impl Page<Paging = P>, at: usize) -> [Told; 2] {
    [Before { pfn: page.pfn().number(), at, writable: true }, After { at }]
}

/// What is told of a mapping that is read.
fn read<P: Paging>(page: &impl Page<Paging = P>, at: usize) -> Told {
    Before { pfn: page.pfn().number(), at, writable: false }
}

fn turned_on<P: Paging>() -> Machine<P> {
    // With forgotten guards on purpose, the feature `debug` has something to report.
    Machine::with(Config { panic_on_report: false, ..Config::default() })
}

fn a_slot_is_told_before_and_while_it_is_mapped<P: Paging>() {
    let machine = turned_on::<P>();
    let mut pages = [machine.alloc(Zone::High), machine.alloc(Zone::High)];
    let mut at = 0;
    let told = run(&machine, |task| {
        let [a, b] = &mut pages;
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let mut guard = kmap_atomic(slots.user0.reborrow(), a);
        at = guard.address();
        assert_eq!(at % PAGE_SIZE, 0);
        guard.fill(1);
        drop(guard);
        // By the other way to end it.
        kunmap_atomic(kmap_atomic(slots.user0, b));
    });
    assert_eq!(told, [written(&pages[0], at), written(&pages[1], at)].concat());
    assert_eq!(machine.faults(), []);
}

fn what_is_only_read_is_told_before_and_not_after<P: Paging>() {
    let machine = turned_on::<P>();
    let page = machine.alloc(Zone::High);
    let mut at = [0; 3];
    let told = run(&machine, |task| {
        at[0] = kmap_atomic(task.atomic().slots().user0, &page).address();
        let (guard, _) = kmap(task, &page).unwrap();
        at[1] = guard.address();
        kunmap(guard);
        let mut pinned = task.pinned();
        at[2] = kmap_local_page(&mut pinned.local().0, &page).0.address();
    });
    assert_eq!(told, at.map(|at| read(&page, at)));
}

fn pages_of_the_direct_map_are_told_as_well<P: Paging>() {
    let machine = turned_on::<P>();
    let mut page = machine.alloc(Zone::Low);
    let at = Inner::<P>::direct_map(page.pfn()).unwrap().as_ptr().addr();
    let told = run(&machine, |task| {
        kmap_atomic(task.atomic().slots().user0, &mut page).fill(1);
        kmap(task, &mut page).unwrap().0.fill(2);
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (guard, _) = kmap_local_page(&mut local, &mut page);
        kunmap_local(guard);
        drop(kmap_atomic(local.slot(), &page));
    });
    assert_eq!(told, [&[written(&page, at); 3].concat()[..], &[read(&page, at)]].concat());
}

fn the_pool_tells_each_user<P: Paging>() {
    let machine = turned_on::<P>();
    let mut pages = [machine.alloc(Zone::High), machine.alloc(Zone::High)];
    let mut at = [0; 3];
    let told = run(&machine, |task| {
        let [a, b] = &mut pages;
        // The second time it is idle, and there is no entry to write.
        for _ in 0..2 {
            let (mut guard, _) = kmap(task, &mut *a).unwrap();
            guard.fill(1);
            at[0] = guard.address();
        }
        let (guard, _) = try_kmap(task, &mut *b).unwrap();
        at[1] = guard.address();
        drop(guard);
        let ([first, second], _) = kmap_all(task, [&mut *a, &mut *b]).unwrap();
        drop(first);
        drop(second);
        let (one, task) = kmap(task, &*a).unwrap();
        at[2] = one.address();
        let (_again, _) = page_address(task, &*a).expect("it is mapped");
    });
    let [a, b] = pages.each_ref();
    let both = [written(a, at[0]), written(b, at[1])];
    let at_once = [both[0][0], both[1][0], both[0][1], both[1][1]];
    let expected = [&both[0][..], &both[0], &both[1], &at_once, &[read(a, at[2]); 2]].concat();
    assert_eq!(told, expected);
    assert_eq!(machine.faults(), []);
}

fn a_batch_tells_each_of_its_pages<P: Paging>() {
    let machine = turned_on::<P>();
    let mut pages: Vec<_> = (0..36).map(|_| machine.alloc(Zone::High)).collect();
    let mut at = 0;
    let told = run(&machine, |task| {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let mut guard = kmap_batch(slots.few.reborrow(), &mut pages[..2]).expect("there is room");
        at = guard.address();
        guard.fill(1);
        drop(guard);
        drop(kmap_batch(slots.few, &pages[..3]).expect("there is room"));
    });
    let [a, b, c] = [0, 1, 2].map(|page| &pages[page]);
    let (second, third) = (at + PAGE_SIZE, at + 2 * PAGE_SIZE);
    let [first_written, second_written] = [written(a, at), written(b, second)];
    let both = [first_written[0], second_written[0], first_written[1], second_written[1]];
    assert_eq!(told, [&both[..], &[read(a, at), read(b, second), read(c, third)]].concat());
    // More than are flushed one by one.
    let told = run(&machine, |task| drop(kmap_batch(task.atomic().slots().many, &mut pages).expect("there is room")));
    assert!(!told.iter().any(|told| matches!(told, NothingThere { .. })), "{told:?}");
    assert_eq!(told.iter().filter(|told| matches!(told, After { .. })).count(), 36);
    assert_eq!(machine.faults(), []);
}

fn operations_tell_what_they_write<P: Paging>() {
    fn slots<P: Paging>(f: impl FnOnce(Slot<'_, K<P>, User0>), task: &mut Task<'_, K<P>>) {
        f(task.atomic().slots().user0);
    }
    let machine = turned_on::<P>();
    let (mut to, from) = (machine.alloc(Zone::High), machine.alloc(Zone::Low));
    let told = run(&machine, |task| {
        slots(|slot| clear_highpage(slot, &mut to), task);
        slots(|slot| memcpy_to_page(slot, &mut to, 8, b"bytes").unwrap(), task);
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        copy_highpage(slots.user1, &mut to, slots.user0, &from);
    });
    let [Before { at, .. }, .., After { at: of_user1 }] = told[..] else { panic!("{told:?}") };
    let low = Inner::<P>::direct_map(from.pfn()).unwrap().as_ptr().addr();
    let copy = [read(&from, low), written(&to, of_user1)[0], written(&to, of_user1)[1]];
    assert_eq!(told, [&[written(&to, at); 2].concat()[..], &copy].concat());
    assert_ne!(at, of_user1);
}

fn a_local_map_is_told_at_each_switch<P: Paging>() {
    let machine = turned_on::<P>();
    let mut pages = [machine.alloc(Zone::High), machine.alloc(Zone::High)];
    let mut at = [0; 2];
    let told = run(&machine, |task| {
        let [a, b] = &mut pages;
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (mut a, mut local) = kmap_local_page(&mut local, a);
        let (b, _) = kmap_local_page(&mut local, &*b);
        at = [a.address(), b.address()];
        a.fill(1);
        // SAFETY: the thread is switched out, and in again on the same CPU, and nobody has run meanwhile.
        unsafe {
            let area = Inner::<P>::save_area();
            local::switch_out::<K<P>>(area.as_ref());
            assert_eq!(at.map(frame_at::<P>), [None; 2]);
            local::switch_in::<K<P>>(area.as_ref());
        }
        assert_eq!((a[0], b[0]), (1, highmem::model::FRESH));
    });
    let (a, b) = (written(&pages[0], at[0]), read(&pages[1], at[1]));
    assert_eq!(told, [a[0], b, a[1], a[0], b, a[1]]);
    assert_eq!(machine.faults(), []);
}

fn a_forgotten_guard_is_told_when_it_is_found<P: Paging>() {
    let machine = turned_on::<P>();
    let mut pages = [machine.alloc(Zone::High), machine.alloc(Zone::High)];
    let mut at = 0;
    let (told, reports) = run_and_report(&machine, |task| {
        let [a, b] = &mut pages;
        let mut atomic = task.atomic();
        let guard = kmap_atomic(atomic.slots().user0, a);
        at = guard.address();
        mem::forget(guard);
        drop(kmap_atomic(atomic.slots().user0, &*b));
    });
    let [before, after] = written(&pages[0], at);
    assert_eq!(told, [before, after, read(&pages[1], at)]);
    assert_eq!(machine.faults(), []);
    assert_eq!(reports.len(), usize::from(cfg!(feature = "debug")), "{reports:?}");
    assert!(reports.iter().all(|report| report.contains("its guard was forgotten")), "{reports:?}");
}

fn a_device_is_not_told<P: Paging>() {
    let machine = turned_on::<P>();
    let frame = machine.alloc(Zone::High);
    // SAFETY: I5: the frame is not used otherwise.
    let mut device = unsafe { DeviceFrame::<P, Uncached>::from_pfn(frame.pfn()) };
    let told = run(&machine, |task| drop(kmap_atomic(task.atomic().slots().user0, &mut device)));
    assert_eq!(told, []);
}

/// User space has the page at an address of its own, where the cache has it, too: what it has written there is read here, and what is
/// written here is read there, though it has looked meanwhile.
fn what_was_written_is_seen_elsewhere<P: Paging>() {
    let machine = turned_on::<P>();
    for zone in [Zone::High, Zone::Low] {
        let mut page = machine.alloc(zone).share();
        let pfn = page.pfn();
        // A load of user space.
        let look = || {
            let line =
                LINE.get().unwrap_or_else(|| Line { pfn: pfn.number(), byte: machine.peek(pfn)[0], dirty: false });
            LINE.set(Some(line));
            line.byte
        };
        run(&machine, |task| {
            LINE.set(Some(Line { pfn: pfn.number(), byte: 7, dirty: true }));
            assert_eq!(kmap_atomic(task.atomic().slots().user0, &page).load::<u8>(0), Ok(7), "in {zone:?}");
            let mut atomic = task.atomic();
            let mut guard = kmap_atomic(atomic.slots().user0, &mut page);
            assert_eq!(look(), 7);
            guard.store(0, 8_u8).unwrap();
            assert_eq!(look(), 7, "as long as nobody has told the kernel");
            drop(guard);
            assert_eq!(look(), 8, "in {zone:?}");
        });
        LINE.take();
    }
}
