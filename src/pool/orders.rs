//! The pool, in many orders of the operations of several CPUs on its atomics and its lock: with `RUSTFLAGS="--cfg shuttle"`.
//!
//! A CPU is a thread of the checker. What CPUs remember of the page tables is written down beside it, at its worst: each remembers an entry
//! as soon as it is present, and forgets only what it is told to.

use super::*;
use crate::context::Task;
use crate::kernel::GaveUp;
use crate::machine::{Machine, Word};
use crate::paging::Pae;
use crate::{Fixmap, Frame, Kernel, PAGE_SIZE, PageBytes, Pfn, linux};
use core::array;
use core::cell::{Cell, RefCell};
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering::SeqCst;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::AtomicBool;
use shuttle::sync::{Condvar, Mutex};
use shuttle::{Config, MaxSteps, Runner, thread};
use std::boxed::Box;
use std::vec::Vec;
use typenum::{U2, U3};

const CPUS: usize = 3;
const ENTRIES: usize = 2;
const BASE: usize = 0xff80_0000;
const HIGH: u64 = 0x14_0000;

/// A kernel on a machine of its own for each order.
struct K;

/// What there is anew for each order.
struct World {
    pool: Pool<512>,
    /// For each CPU and entry, the frame that the CPU takes it for. Not of the checker: nothing comes in between.
    remembered: RefCell<[[Option<u64>; ENTRIES]; CPUS]>,
    interrupts_off: [AtomicBool; CPUS],
    signals: [AtomicBool; CPUS],
    has_visited: AtomicBool,
    sleepers: Mutex<()>,
    woken: Condvar,
}

std::thread_local! {
    /// The world of the order that this thread of the host tries.
    static WORLD: Cell<*const World> = const { Cell::new(ptr::null()) };
    /// The CPU as which something is done, if it is not that of the thread.
    static AS_CPU: Cell<Option<usize>> = const { Cell::new(None) };
}

shuttle::thread_local! {
    static CPU: Cell<usize> = Cell::new(0);
}

fn world() -> &'static World {
    // SAFETY: `in_many_orders` sets it before there are threads, and takes it back when they are gone.
    unsafe { WORLD.get().as_ref() }.expect("an order is being tried")
}

fn cpu() -> usize {
    AS_CPU.get().unwrap_or_else(|| CPU.with(Cell::get))
}

/// The frame that an entry maps now.
fn present(entry: usize) -> Option<u64> {
    let at = (&raw const *world().pool.table()).cast::<u64>().wrapping_add(entry);
    // SAFETY: I1: within the table; nothing comes in between.
    let entry = unsafe { at.read_volatile() };
    (entry & 1 != 0).then_some(entry >> 12 & 0xff_ffff)
}

// SAFETY: I10: does the accesses at once, and no page walker looks on but the one below.
unsafe impl Machine for K {
    unsafe fn read<W: Word>(at: *const W) -> W {
        // SAFETY: I1: the caller may read this entry.
        unsafe { at.read_volatile() }
    }

    unsafe fn write<W: Word>(at: *mut W, value: W) {
        // A store is an operation that others can come before.
        thread::yield_now();
        // SAFETY: I1: only the caller writes this entry.
        unsafe { at.write_volatile(value) };
        let entry = (at.addr() - (&raw const *world().pool.table()).addr()) / size_of::<u64>();
        if let Some(now) = present(entry) {
            for (by, remembered) in world().remembered.borrow_mut().iter_mut().enumerate() {
                let was = remembered[entry].replace(now);
                assert!(was.is_none_or(|was| was == now), "entry {entry} is set, and CPU {by} has not flushed it");
            }
        }
    }

    unsafe fn invlpg(address: usize) {
        let entry = (address - BASE) / PAGE_SIZE;
        if let Some(remembered) = world().remembered.borrow_mut()[cpu()].get_mut(entry) {
            *remembered = present(entry);
        }
    }

    unsafe fn flush_all() {
        let now = array::from_fn(present);
        world().remembered.borrow_mut()[cpu()] = now;
    }
}

// SAFETY: nothing is mapped in slots, and nothing is interrupted but as `on_other_cpus` says.
unsafe impl Kernel for K {
    type Paging = Pae;
    type KmTypes = linux::Set;
    type Cpus = U3;
    type Machine = Self;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;

    fn fixmap() -> &'static Fixmap<1> {
        static FIXMAP: Fixmap<1> = Fixmap::new::<K>();
        &FIXMAP
    }
    fn cpu() -> usize {
        cpu()
    }
    fn preempt_disable() {}
    unsafe fn preempt_enable() {}
    unsafe fn bh_enable() {}
    fn irq_save() -> bool {
        !world().interrupts_off[cpu()].swap(true, SeqCst)
    }
    unsafe fn irq_restore(were_on: bool) {
        world().interrupts_off[cpu()].store(!were_on, SeqCst);
    }
    fn no_execute() -> bool {
        true
    }
    fn direct_map(_pfn: Pfn<Pae>) -> Option<NonNull<PageBytes>> {
        None
    }
}

// SAFETY: as far as it matters here: the addresses are nobody's, and each CPU runs `work` when its interrupts are on.
unsafe impl PoolKernel for K {
    type PoolEntries = U2;
    type Pool = Pool<512>;
    const PKMAP_BASE: usize = BASE;

    fn pool() -> &'static Pool<512> {
        &world().pool
    }

    fn wait(_thread: &mut MaySleep<'_, Self>, until: &(dyn Fn() -> bool + Sync)) -> Result<(), GaveUp> {
        let mut sleepers = world().sleepers.lock().expect("nobody panics");
        while !until() {
            if world().signals[cpu()].swap(false, SeqCst) {
                return Err(GaveUp);
            }
            sleepers = world().woken.wait(sleepers).expect("nobody panics");
        }
        Ok(())
    }

    fn wake_one() {
        drop(world().sleepers.lock());
        world().woken.notify_all();
    }

    fn on_other_cpus(work: &(dyn Fn() + Sync)) {
        let this = cpu();
        assert!(!world().interrupts_off[this].load(SeqCst), "a CPU with interrupts off waits for others");
        for other in (0..CPUS).filter(|&other| other != this) {
            // Interrupted as soon as that can be; what it does then is one step.
            while world().interrupts_off[other].load(SeqCst) {
                thread::yield_now();
            }
            AS_CPU.set(Some(other));
            work();
            AS_CPU.set(None);
        }
    }

    fn relax() {
        thread::yield_now();
    }
}

/// Has the thread on `cpu` give up.
fn signal(cpu: usize) {
    world().signals[cpu].store(true, SeqCst);
    K::wake_one();
}

/// Frame `number`.
fn frame(number: usize) -> Frame<Pae> {
    // SAFETY: I5: exists only as a number; where a frame is made twice, both are only read.
    unsafe { Frame::from_pfn(Pfn::new(HIGH + number as u64).unwrap()) }
}

/// All CPUs see the page of each guard, now and a moment later.
fn look<P: Page<Paging = Pae>>(guards: &[Kmap<'_, K, P>]) {
    for _ in 0..2 {
        for guard in guards {
            let entry = (guard.address() - BASE) / PAGE_SIZE;
            for (cpu, remembered) in world().remembered.borrow().iter().enumerate() {
                assert_eq!(remembered[entry], Some(guard.pfn().number() as u64), "CPU {cpu} sees another page");
            }
        }
        thread::yield_now();
    }
}

type Threads = [fn(&mut Task<'_, K>); CPUS];

/// Runs the CPUs in many orders, and looks whether the pool is idle after each.
fn in_many_orders(cpus: Threads) {
    let chance = RandomScheduler::new_from_seed(26, 1500);
    in_orders(chance, cpus);
    for depth in [2, 4] {
        in_orders(PctScheduler::new_from_seed(1914, depth, 500), cpus);
    }
}

fn in_orders(scheduler: impl Scheduler + 'static, cpus: Threads) {
    let mut config = Config::new();
    // The pool is made on the stack, and is large here.
    config.stack_size = 4 << 20;
    config.max_steps = MaxSteps::FailAfter(200_000);
    let run = move || {
        let off = || array::from_fn(|_| AtomicBool::new(false));
        let world = Box::into_raw(Box::new(World {
            pool: Pool::new::<K>(),
            remembered: RefCell::default(),
            interrupts_off: off(),
            signals: off(),
            has_visited: AtomicBool::new(false),
            sleepers: Mutex::new(()),
            woken: Condvar::new(),
        }));
        WORLD.set(world);
        // SAFETY: I9: the table exists only as memory.
        unsafe { K::pool().start::<K>() };
        let threads: Vec<_> = cpus
            .into_iter()
            .enumerate()
            .map(|(cpu, body)| {
                thread::spawn(move || {
                    CPU.with(|number| number.set(cpu));
                    // SAFETY: I1: a thread of its own.
                    unsafe { Task::<K>::enter(body) };
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no CPU panics"));
        let pool = K::pool();
        let stats = pool.stats::<K>();
        assert_eq!(stats.in_use, 0, "an entry is in use");
        assert!(pool.front.is_empty(), "somebody is left in the queue");
        pool.flush_unused::<K>();
        let free = pool.locked::<K, _>(|lists| (lists.free.length, lists.stale.length));
        assert_eq!(free, (ENTRIES, 0), "an entry is lost");
        WORLD.set(ptr::null());
        // SAFETY: I4: all threads are gone.
        drop(unsafe { Box::from_raw(world) });
    };
    Runner::new(scheduler, config).run(run);
}

/// Maps a page, and looks.
fn visit(task: &mut Task<'_, K>, number: usize) {
    let (guard, _) = kmap(task, frame(number)).expect("nobody gives up");
    look(&[guard]);
}

fn visit_pair(task: &mut Task<'_, K>, numbers: [usize; 2]) {
    let (guards, _) = kmap_all(task, numbers.map(frame)).expect("nobody gives up");
    look(&guards);
}

#[test]
fn hits_against_sweeps() {
    in_many_orders([
        |task| (0..3).for_each(|_| visit(task, 0)),
        |task| (0..3).for_each(|_| flush_unused::<K, _>(task)),
        |task| [1, 2, 0].into_iter().for_each(|number| visit(task, number)),
    ]);
}

#[test]
fn a_hand_over_against_a_revival() {
    in_many_orders([
        |task| (0..3).for_each(|_| visit(task, 0)),
        |task| (0..2).for_each(|_| visit(task, 1)),
        |task| [2, 0].into_iter().for_each(|number| visit(task, number)),
    ]);
}

/// The first CPU ends one of its mappings, and the other one only when the second CPU has got that entry: it must not depend on a
/// second chance.
#[test]
fn a_hand_over_against_a_sweep() {
    in_many_orders([
        |task| {
            let ([one, other], _) = kmap_all(task, [frame(0), frame(1)]).expect("nobody gives up");
            drop(one);
            while !world().has_visited.load(SeqCst) {
                thread::yield_now();
            }
            look(&[other]);
        },
        |task| {
            visit(task, 2);
            world().has_visited.store(true, SeqCst);
        },
        |task| {
            while !world().has_visited.load(SeqCst) {
                flush_unused::<K, _>(task);
                thread::yield_now();
            }
        },
    ]);
}

#[test]
fn all_at_once_against_one() {
    in_many_orders([
        |task| (0..2).for_each(|_| visit_pair(task, [0, 1])),
        |task| (0..2).for_each(|_| visit_pair(task, [1, 2])),
        |task| [0, 3].into_iter().for_each(|number| visit(task, number)),
    ]);
}

/// As many idle entries as there are come and go while others stand in the queue.
#[test]
fn all_share_one_page() {
    in_many_orders([
        |task| {
            (0..2).for_each(|_| visit(task, 0));
            visit(task, 9);
            visit_pair(task, [0, 9]);
        },
        |task| {
            (0..2).for_each(|_| visit(task, 1));
            visit(task, 9);
            visit_pair(task, [1, 9]);
        },
        |task| {
            (0..2).for_each(|_| visit(task, 2));
            visit(task, 9);
            visit_pair(task, [2, 9]);
        },
    ]);
}

#[test]
fn the_second_in_the_queue_gives_up() {
    in_many_orders([
        |task| (0..2).for_each(|_| visit_pair(task, [0, 1])),
        |task| match kmap(task, frame(2)) {
            Ok((guard, _)) => look(&[guard]),
            Err(error) => assert_eq!(error.why, Refusal::GaveUp),
        },
        |task| {
            signal(1);
            visit_pair(task, [3, 4]);
        },
    ]);
}

#[test]
fn a_flush_while_others_look_for_entries() {
    in_many_orders([
        |task| (0..2).for_each(|number| visit(task, number)),
        |task| {
            drop(try_kmap(task, frame(2)));
            flush_unused::<K, _>(task);
            drop(try_kmap(task, frame(3)));
        },
        |task| [4, 5].into_iter().for_each(|number| visit(task, number)),
    ]);
}

/// Two hold one entry each at the most, so there is one for each of them, whoever takes what the other has reclaimed.
#[test]
fn nobody_is_refused_for_coming_too_late() {
    fn try_visit(task: &mut Task<'_, K>, number: usize) {
        let (guard, _) = try_kmap(task, frame(number)).expect("not all are in use");
        look(&[guard]);
    }
    in_many_orders([
        |task| (0..4).for_each(|number| try_visit(task, number)),
        |task| (4..8).for_each(|number| try_visit(task, number)),
        |_| (),
    ]);
}
