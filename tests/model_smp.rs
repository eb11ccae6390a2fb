//! The mapper is right whatever the order in which the steps of several CPUs come.

mod model;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use highmem::debug;
use highmem::linux::{Set, User0, User1};
use highmem::model::{Config, Cpu, FRESH, Frame, Machine, ModelKernel, Schedules, Zone};
use highmem::paging::{Pae, Paging};
use highmem::{HardIrq, Kernel, PAGE_SIZE, Page, Slot, kmap_atomic};
use model::{in_each_mode, panic_of};

type K<P> = ModelKernel<P>;

/// How often a CPU has to wait in the exhaustive runs. With the feature `debug`, the ends of contexts have many more steps.
const SWITCHES: usize = if cfg!(feature = "debug") { 1 } else { 2 };

in_each_mode!(
    two_cpus_map_in_all_orders,
    two_cpus_copy_from_one_page_in_all_orders,
    three_cpus_map_in_random_orders,
    two_cpus_are_interrupted_in_random_orders,
);

fn machine<P: Paging>(cpus: usize) -> Machine<P> {
    Machine::with(Config { cpus, panic_on_report: false, ..Config::default() })
}

fn check<P: Paging>(machine: &Machine<P>) {
    assert_eq!(debug::mappings::<K<P>>().count(), 0, "a slot is not empty");
    assert_eq!(machine.stale(), [], "a translation is still cached");
    assert_eq!(machine.faults(), []);
}

/// A page for each CPU.
fn pages<P: Paging>(machine: &Machine<P>) -> Vec<Mutex<Frame<P>>> {
    (0..machine.cpus()).map(|_| Mutex::new(machine.alloc(Zone::High))).collect()
}

/// Writes a page, and reads it again through another mapping.
fn write_and_read<P: Paging>(mut slot: Slot<'_, K<P>, User0>, page: &mut Frame<P>, byte: u8) {
    kmap_atomic(slot.reborrow(), &mut *page).fill(byte);
    assert_eq!(kmap_atomic(slot, &*page)[..], [byte; PAGE_SIZE], "another page was read");
}

fn copy<P: Paging>(
    (from, from_slot): (&Frame<P>, Slot<'_, K<P>, User0>),
    (to, to_slot): (&mut Frame<P>, Slot<'_, K<P>, User1>),
) {
    let from = kmap_atomic(from_slot, from);
    let mut to = kmap_atomic(to_slot, to);
    to.copy_from_slice(&*from);
}

fn two_cpus_map_in_all_orders<P: Paging>() {
    let machine = machine::<P>(2);
    let pages = pages(&machine);
    let pfns = [0, 1].map(|cpu| pages[cpu].lock().unwrap().pfn());
    let operation = |cpu: Cpu<'_, P, Set, false>| {
        let mut page = pages[cpu.number()].lock().unwrap();
        cpu.task(|task| write_and_read(task.atomic().slots().user0, &mut page, cpu.number() as u8));
    };
    let runs = machine.interleave(Schedules::exhaustive(SWITCHES), 2, operation, || {
        (0..2).for_each(|cpu| assert_eq!(machine.peek(pfns[cpu]), [cpu as u8; PAGE_SIZE]));
        check(&machine);
    });
    assert!(runs > 40, "{runs}");
}

fn two_cpus_copy_from_one_page_in_all_orders<P: Paging>() {
    let machine = machine::<P>(2);
    let pages = pages(&machine);
    let source = machine.alloc(Zone::High);
    let operation = |cpu: Cpu<'_, P, Set, false>| {
        let mut target = pages[cpu.number()].lock().unwrap();
        cpu.task(|task| {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            copy((&source, slots.user0), (&mut target, slots.user1));
        });
        assert_eq!(machine.peek(target.pfn()), [FRESH; PAGE_SIZE]);
    };
    machine.interleave(Schedules::exhaustive(1), 2, operation, || check(&machine));
}

fn three_cpus_map_in_random_orders<P: Paging>() {
    let machine = machine::<P>(3);
    let pages = pages(&machine);
    let operation = |cpu: Cpu<'_, P, Set, false>| {
        let mut page = pages[cpu.number()].lock().unwrap();
        cpu.task(|task| write_and_read(task.atomic().slots().user0, &mut page, cpu.number() as u8));
    };
    let runs = machine.interleave(Schedules::random(2010, 100), 3, operation, || check(&machine));
    assert_eq!(runs, 100);
}

/// CPU 0 interrupts CPU 1 while both map: the handler comes wherever CPU 1 happens to be.
fn two_cpus_are_interrupted_in_random_orders<P: Paging>() {
    static SERVED: AtomicUsize = AtomicUsize::new(0);
    let machine = machine::<P>(2);
    let pages = pages(&machine);
    SERVED.store(0, Relaxed);
    let operation = |cpu: Cpu<'_, P, Set, false>| {
        let mut page = pages[cpu.number()].lock().unwrap();
        let mut own = machine.alloc(Zone::High);
        cpu.task(|task| {
            machine.cpu(1 - cpu.number()).interrupt(move |irq: &mut HardIrq<'_, K<P>>| {
                kmap_atomic(irq.slots().irq0, &mut own).fill(9);
                SERVED.fetch_add(1, Relaxed);
            });
            write_and_read(task.atomic().slots().user0, &mut page, cpu.number() as u8);
        });
    };
    let runs = machine.interleave(Schedules::random(7, 100), 2, operation, || check(&machine));
    // What came when a CPU was done is served when it next runs.
    (0..2).for_each(|cpu| machine.cpu(cpu).task(|_| ()));
    assert_eq!(SERVED.load(Relaxed), 2 * runs);
    assert_eq!(machine.allocated(), 2);
}

#[test]
fn a_lost_update_is_found_with_one_switch_and_not_with_none() {
    let machine = machine::<Pae>(2);
    // A counter that is read in one step and written in another.
    let counter = AtomicUsize::new(0);
    let operation = |cpu: Cpu<'_, Pae, Set, false>| {
        cpu.task(|task| {
            let before = counter.load(Relaxed);
            drop(task.atomic());
            counter.store(before + 1, Relaxed);
        });
    };
    for (switches, expected) in [(0, [2].as_slice()), (1, &[1, 2])] {
        let mut found = BTreeSet::new();
        machine.interleave(Schedules::exhaustive(switches), 2, operation, || {
            found.insert(counter.swap(0, Relaxed));
        });
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{switches} switches");
    }
}

/// The orders in which two CPUs come by.
fn orders(schedules: Schedules) -> Vec<Vec<usize>> {
    let machine = machine::<Pae>(2);
    let (order, mut all) = (Mutex::new(Vec::new()), Vec::new());
    let operation = |cpu: Cpu<'_, Pae, Set, false>| {
        cpu.task(|_| {
            for _ in 0..2 {
                K::<Pae>::bh_disable();
                order.lock().unwrap().push(cpu.number());
                // SAFETY: ends what began above.
                unsafe { K::<Pae>::bh_enable() };
            }
        });
    };
    machine.interleave(schedules, 2, operation, || all.push(std::mem::take(&mut *order.lock().unwrap())));
    all
}

#[test]
fn all_orders_are_tried() {
    let tried: BTreeSet<_> = orders(Schedules::exhaustive(3)).into_iter().collect();
    assert_eq!(tried.len(), 6, "two of four places for CPU 0");
}

#[test]
fn chance_is_the_same_each_time() {
    let first = orders(Schedules::random(1, 20));
    assert!(first.iter().any(|order| *order != first[0]));
    assert_eq!(orders(Schedules::random(1, 20)), first);
    assert_ne!(orders(Schedules::random(2, 20)), first);
}

#[test]
fn a_panic_of_one_cpu_ends_the_run_with_it() {
    let machine = machine::<Pae>(2);
    let operation = |cpu: Cpu<'_, Pae, Set, false>| {
        cpu.task(|task| {
            drop(task.atomic());
            assert_eq!(cpu.number(), 0, "on purpose");
            drop(task.atomic());
        });
    };
    let message = panic_of(|| machine.interleave(Schedules::exhaustive(2), 2, operation, || ()));
    assert!(message.contains("on purpose"), "{message}");
    machine.cpu(1).task(|_| ());
}
