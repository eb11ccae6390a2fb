//! The pool is right whatever comes in between: handlers at each step, and other CPUs in all orders of their steps.

mod model;

use std::cell::Cell;
use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use highmem::debug;
use highmem::linux::Set;
use highmem::model::{Config, Cpu, FRESH, Frame, Machine, ModelKernel, PoolSize, Schedules, What, Zone};
use highmem::paging::{Pae, Paging};
use highmem::pool::{PoolStats, Refusal, stats};
use highmem::{
    Kernel, MaySleep, PAGE_SIZE, Page, PoolKernel, Task, flush_unused, kmap, kmap_all, kmap_atomic, kmap_pair, kunmap,
    page_address, try_kmap,
};
use model::{in_each_mode, panic_of};
use typenum::{U2, U3, U4, U64};

type K<P, E = U4> = ModelKernel<P, Set, false, E>;
type Model<P, E = U4> = Machine<P, Set, false, E>;

/// How often a CPU has to wait in the exhaustive runs.
const SWITCHES: usize = if cfg!(feature = "debug") { 1 } else { 2 };

in_each_mode!(
    handlers_come_at_each_step_of_a_first_mapping,
    handlers_come_at_each_step_of_a_wrap,
    handlers_that_map_come_at_each_step_of_a_mapping,
    guards_of_an_interrupted_task_are_good_in_the_handler,
    a_page_has_one_address_for_all_cpus,
    two_cpus_wrap_a_pool_of_two_in_all_orders,
    two_cpus_revive_and_take_back_in_all_orders,
    two_cpus_hand_entries_over_in_all_orders,
    two_cpus_take_pairs_in_all_orders,
    three_cpus_share_a_pool_of_two_in_random_orders,
    three_cpus_do_everything_in_random_orders,
    cpus_that_run_freely_share_a_pool,
    a_cpu_that_flushes_by_address_leaves_other_spaces_and_is_found_out,
    a_cpu_that_reloads_cr3_leaves_what_is_global_and_is_found_out,
    many_entries_are_forgotten_at_once,
);

fn machine<P: Paging, E: PoolSize>(cpus: usize) -> Model<P, E> {
    Model::with(Config { cpus, panic_on_report: false, ..Config::default() })
}

fn numbers<P: Paging, E: PoolSize>() -> PoolStats {
    stats::<K<P, E>>()
}

/// Nobody uses an entry, nobody waits, no slot is in use; what is cached is so, and nothing went wrong.
fn check<P: Paging, E: PoolSize>(machine: &Model<P, E>) {
    let stats = numbers::<P, E>();
    assert_eq!(stats.in_use, 0, "an entry is in use");
    assert_eq!(debug::mappings::<K<P, E>>().count(), 0, "a slot is not empty");
    assert_eq!(machine.faults(), []);
    machine.cpu(0).task(|task| {
        flush_unused::<K<P, E>, _>(task);
        assert_eq!(numbers::<P, E>().idle, 0);
        assert_eq!(machine.stale(), [], "a translation is still cached");
        // All entries can be had, and nobody waits for one.
        let pages: Vec<Frame<P>> = (0..stats.entries).map(|_| machine.alloc(Zone::High)).collect();
        hold_all::<P, E>(task, &pages);
        flush_unused::<K<P, E>, _>(task);
    });
    assert_eq!(machine.stale(), [], "a translation is still cached");
    assert_eq!(machine.faults(), []);
}

/// Maps these pages, each under the one before.
fn hold_all<P: Paging, E: PoolSize>(task: &mut MaySleep<'_, K<P, E>>, pages: &[Frame<P>]) {
    if let [first, rest @ ..] = pages {
        let (mapped, task) = try_kmap(task, first).expect("an entry is free for each page");
        hold_all::<P, E>(task, rest);
        assert_eq!(mapped[..], [FRESH; PAGE_SIZE]);
    }
}

/// Maps a page, writes to it, and reads it through another mapping.
fn write_and_read<P: Paging, E: PoolSize>(task: &mut Task<'_, K<P, E>>, page: &mut Frame<P>, byte: u8) {
    let (mut mapped, _) = kmap(task, &mut *page).expect("nobody gives up");
    mapped.fill(byte);
    drop(mapped);
    let (mapped, _) = kmap(task, &*page).expect("nobody gives up");
    assert_eq!(mapped[..], [byte; PAGE_SIZE], "another page was read");
}

/// Reads a page that nobody has written.
fn read<P: Paging, E: PoolSize>(task: &mut Task<'_, K<P, E>>, page: &Frame<P>) {
    let (mapped, _) = kmap(task, page).expect("nobody gives up");
    assert_eq!(mapped[..], [FRESH; PAGE_SIZE], "another page was read");
}

fn pages<P: Paging, E: PoolSize>(machine: &Model<P, E>, count: usize) -> Vec<Frame<P>> {
    (0..count).map(|_| machine.alloc(Zone::High)).collect()
}

/// Interrupts `operation` at each of its steps, by all that there is, with handlers that use slots.
fn at_each_step<P: Paging, E: PoolSize>(machine: &Model<P, E>, mut operation: impl FnMut(&mut Task<'_, K<P, E>>)) {
    let cpu = machine.cpu(0);
    let mut own = machine.alloc(Zone::High);
    cpu.task(|task| {
        let irqs =
            cpu.interrupt_everywhere(|irq| kmap_atomic(irq.slots().irq0, &mut own).fill(2), || operation(&mut *task));
        let nmis = cpu.nmi_everywhere(|_| assert!(machine.faults().is_empty()), || operation(&mut *task));
        let softirqs = cpu.softirq_everywhere(
            |softirq| kmap_atomic(softirq.slots().softirq0, &mut own).fill(3),
            || operation(&mut *task),
        );
        assert!(irqs > 0 && nmis > 0 && softirqs > 0);
    });
    drop(own);
    check(machine);
}

fn handlers_come_at_each_step_of_a_first_mapping<P: Paging>() {
    let machine = machine::<P, U2>(2);
    let mut page = machine.alloc(Zone::High);
    at_each_step(&machine, |task| {
        flush_unused::<K<P, U2>, _>(task);
        write_and_read(task, &mut page, 1);
    });
}

fn handlers_come_at_each_step_of_a_wrap<P: Paging>() {
    let machine = machine::<P, U2>(2);
    let pages = pages(&machine, 3);
    at_each_step(&machine, |task| pages.iter().for_each(|page| read(task, page)));
    assert!(numbers::<P, U2>().flushes > 10);
}

/// A softirq maps in the pool itself: it may find it exhausted or being flushed, and never waits.
fn handlers_that_map_come_at_each_step_of_a_mapping<P: Paging>() {
    let machine = machine::<P, U3>(2);
    let (cpu, pages, other) = (machine.cpu(0), pages(&machine, 3), machine.alloc(Zone::High));
    let (got, exhausted) = (Cell::new(0), Cell::new(0));
    cpu.task(|task| {
        cpu.softirq_everywhere(
            |softirq| match try_kmap(softirq, &other) {
                Ok((mapped, _)) => {
                    assert_eq!(mapped[..], [FRESH; PAGE_SIZE]);
                    got.set(got.get() + 1);
                }
                Err(error) => {
                    assert_eq!(error.why, Refusal::Exhausted);
                    exhausted.set(exhausted.get() + 1);
                }
            },
            || {
                let (guards, _) = kmap_all(task, [&pages[0], &pages[1], &pages[2]]).expect("nobody gives up");
                guards.iter().for_each(|mapped| assert_eq!(mapped[..], [FRESH; PAGE_SIZE]));
            },
        );
    });
    assert!(got.get() > 0 && exhausted.get() > 0, "{got:?} {exhausted:?}");
    check(&machine);
}

fn guards_of_an_interrupted_task_are_good_in_the_handler<P: Paging>() {
    let machine = machine::<P, U2>(2);
    let (cpu, page) = (machine.cpu(0), machine.alloc(Zone::High));
    cpu.task(|task| {
        let (mapped, task) = kmap(task, &page).unwrap();
        let other = machine.alloc(Zone::High);
        cpu.interrupt_everywhere(
            |_| assert_eq!(mapped[..], [FRESH; PAGE_SIZE]),
            || {
                drop(try_kmap(task, &other).expect("one entry is free"));
                flush_unused::<K<P, U2>, _>(task);
            },
        );
        drop(mapped);
    });
    check(&machine);
}

fn a_page_has_one_address_for_all_cpus<P: Paging>() {
    let machine = machine::<P, U4>(2);
    let page = machine.alloc(Zone::High);
    machine.cpu(0).task(|task| {
        let (one, task) = kmap(task, &page).unwrap();
        std::thread::scope(|scope| {
            let on_cpu_1 = || {
                machine.cpu(1).task(|task| {
                    let (other, task) = kmap(task, &page).unwrap();
                    let (found, _) = page_address::<K<P>, _, _>(task, &page).unwrap();
                    assert_eq!(found.address(), other.address());
                    other.address()
                })
            };
            assert_eq!(scope.spawn(on_cpu_1).join().unwrap(), one.address());
        });
        assert_eq!(kunmap(one).pfn(), page.pfn());
        assert!(page_address::<K<P>, _, _>(task, &page).is_some(), "it is idle, and still there");
    });
    assert_eq!(numbers::<P, U4>().remaps, 1);
    check(&machine);
}

/// Runs `operation` on each CPU with its own page, in all orders.
fn in_all_orders<P: Paging, E: PoolSize>(
    machine: &Model<P, E>,
    schedules: Schedules,
    operation: impl Fn(Cpu<'_, P, Set, false, E>, &mut Frame<P>) + Sync,
) -> usize {
    let pages: Vec<_> = (0..machine.cpus()).map(|_| Mutex::new(machine.alloc(Zone::High))).collect();
    let runs = machine.interleave(
        schedules,
        machine.cpus(),
        |cpu| operation(cpu, &mut pages[cpu.number()].lock().unwrap()),
        || {
            assert_eq!(numbers::<P, E>().in_use, 0, "an entry is in use");
            assert_eq!(machine.faults(), []);
            machine.cpu(0).task(|task| flush_unused::<K<P, E>, _>(task));
            assert_eq!(machine.stale(), [], "a translation is still cached");
        },
    );
    drop(pages);
    check(machine);
    runs
}

fn two_cpus_wrap_a_pool_of_two_in_all_orders<P: Paging>() {
    let machine = machine::<P, U2>(2);
    let shared = machine.alloc(Zone::High);
    let runs = in_all_orders(&machine, Schedules::exhaustive(1), |cpu, page| {
        cpu.task(|task| {
            write_and_read(task, page, cpu.number() as u8);
            read(task, &shared);
        });
    });
    assert!(runs > 40, "{runs}");
}

/// One CPU maps a page again and again, which is idle in between; the other one takes all back.
fn two_cpus_revive_and_take_back_in_all_orders<P: Paging>() {
    let machine = machine::<P, U2>(2);
    let shared = machine.alloc(Zone::High);
    in_all_orders(&machine, Schedules::exhaustive(SWITCHES), |cpu, _| {
        cpu.task(|task| {
            if cpu.number() == 0 {
                read(task, &shared);
                read(task, &shared);
            } else {
                flush_unused::<K<P, U2>, _>(task);
            }
        });
    });
}

/// Both CPUs need both entries at some time: one sleeps until the other leaves.
fn two_cpus_hand_entries_over_in_all_orders<P: Paging>() {
    let machine = machine::<P, U2>(2);
    let (one, other) = (machine.alloc(Zone::High), machine.alloc(Zone::High));
    let slept = AtomicUsize::new(0);
    in_all_orders(&machine, Schedules::exhaustive(1), |cpu, page| {
        cpu.task(|task| {
            if cpu.number() == 0 {
                let (one, other, _) = kmap_pair(task, &one, &other).expect("nobody gives up");
                assert_eq!(
                    (one[..].as_ref(), other[..].as_ref()),
                    ([FRESH; PAGE_SIZE].as_ref(), [FRESH; PAGE_SIZE].as_ref())
                );
                drop((one, other));
            } else {
                write_and_read(task, page, 5);
            }
        });
        slept.fetch_max(numbers::<P, U2>().sleeps as usize, Relaxed);
    });
    assert!(slept.load(Relaxed) > 0, "in some order, one sleeps");
}

/// The same two pages in either order, and each its own: nobody holds one and waits for another.
fn two_cpus_take_pairs_in_all_orders<P: Paging>() {
    let machine = machine::<P, U3>(2);
    let (one, other) = (machine.alloc(Zone::High), machine.alloc(Zone::High));
    in_all_orders(&machine, Schedules::exhaustive(1), |cpu, page| {
        let (first, second) = if cpu.number() == 0 { (&one, &other) } else { (&other, &one) };
        cpu.task(|task| {
            let (guards, _) = kmap_all(task, [first, second, &*page]).expect("nobody gives up");
            guards.iter().for_each(|mapped| assert_eq!(mapped[..], [FRESH; PAGE_SIZE]));
        });
    });
}

fn three_cpus_share_a_pool_of_two_in_random_orders<P: Paging>() {
    let machine = machine::<P, U2>(3);
    let shared = machine.alloc(Zone::High);
    in_all_orders(&machine, Schedules::random(26, 150), |cpu, page| {
        cpu.task(|task| {
            write_and_read(task, page, cpu.number() as u8);
            read(task, &shared);
            let (mut mapped, same, _) = kmap_pair(task, page, &shared).expect("nobody gives up");
            mapped.copy_from_slice(&same[..]);
            assert_eq!(mapped[..], [FRESH; PAGE_SIZE]);
        });
    });
}

/// Pages are taken alone, in pairs, without waiting, by softirqs; waits are given up; guards are dropped by other CPUs in interrupts.
fn three_cpus_do_everything_in_random_orders<P: Paging>() {
    let machine = machine::<P, U3>(3);
    let (shared, more) = (machine.alloc(Zone::High), pages(&machine, 2));
    let gave_up = AtomicUsize::new(0);
    let dropped_elsewhere = AtomicBool::new(false);
    in_all_orders(&machine, Schedules::random(1914, 150), |cpu, page| {
        cpu.task(|task| match cpu.number() {
            0 => {
                let (guards, task) = kmap_all(task, [&shared, &more[0], &more[1]]).expect("nobody gives up");
                // Long enough for the others to come and wait.
                (0..20).for_each(|_| drop(task.atomic()));
                let guards = guards.map(|mapped| Mutex::new(Some(mapped)));
                K::<P, U3>::preempt_disable();
                // As the kernel's own code has it: borrowed code, run by the others in interrupts.
                K::<P, U3>::on_other_cpus(&|| {
                    for guard in &guards {
                        // Not under the lock: the end of a guard has steps.
                        let guard = guard.lock().unwrap().take();
                        drop(guard);
                    }
                    dropped_elsewhere.store(true, Relaxed);
                });
                // SAFETY: ends the call above.
                unsafe { K::<P, U3>::preempt_enable() };
                drop(try_kmap(task, &shared));
            }
            1 => {
                machine.cpu(2).signal();
                write_and_read(task, page, 1);
                drop(try_kmap(&mut task.atomic(), &more[1]));
            }
            _ => match kmap_pair(task, &*page, &more[0]) {
                Ok((own, _, _)) => assert_eq!(own[..], [FRESH; PAGE_SIZE]),
                Err(error) => {
                    assert_eq!(error.why, Refusal::GaveUp);
                    gave_up.fetch_add(1, Relaxed);
                }
            },
        });
    });
    assert!(gave_up.load(Relaxed) > 0, "in some order, the wait is given up");
    assert!(dropped_elsewhere.load(Relaxed));
}

/// Threads of the host, in whatever order it runs them.
fn cpus_that_run_freely_share_a_pool<P: Paging>() {
    let machine = machine::<P, U2>(4);
    let shared = pages(&machine, 5);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (machine, shared) = (&machine, &shared);
            scope.spawn(move || {
                let mut own = machine.alloc(Zone::High);
                machine.cpu(number).task(|task| {
                    for round in 0..150 {
                        write_and_read(task, &mut own, round as u8);
                        read(task, &shared[(number + round) % 5]);
                        let pair = [round % 5, (round + number + 1) % 5].map(|page| &shared[page]);
                        let (guards, task) = kmap_all(task, pair).expect("nobody gives up");
                        guards.iter().for_each(|mapped| assert_eq!(mapped[0], FRESH));
                        drop(try_kmap(task, &own));
                    }
                });
            });
        }
    });
    assert!(numbers::<P, U2>().flushes > 100, "{}", numbers::<P, U2>());
    check(&machine);
}

/// The kernel says that it has no PCIDs, and has them: `invlpg` leaves the translation of the other one.
fn a_cpu_that_flushes_by_address_leaves_other_spaces_and_is_found_out<P: Paging>() {
    let message = panic_of(|| {
        let machine = machine::<P, U2>(2);
        let pages = pages(&machine, 4);
        machine.cpu(0).task(|task| {
            read(task, &pages[0]);
            machine.cpu(1).load_cr3(7, true);
            pages[1..].iter().for_each(|page| read(task, page));
        });
    });
    assert!(message.contains("kmap pool at 0x") && message.contains("in entry "), "{message}");
    assert!(message.contains("CPU 1 still takes for pfn"), "{message}");
}

/// The entry of the pool, written as by a kernel that only reloads CR3 on all CPUs.
fn a_cpu_that_reloads_cr3_leaves_what_is_global_and_is_found_out<P: Paging>() {
    for is_global in [false, true] {
        let machine = machine::<P, U2>(2);
        let entry = machine.pool_entry(0).cast::<u32>();
        let protection = if is_global { 0x163 } else { 0x63 };
        // SAFETY: nobody else uses the pool of this machine.
        let write =
            |value: u32| unsafe { <<K<P, U2> as Kernel>::Machine as highmem::machine::Machine>::write(entry, value) };
        write(0x1000 | protection);
        write(0);
        (0..2).for_each(|cpu| machine.cpu(cpu).load_cr3(0, false));
        write(0x2000 | protection);
        let faults = machine.faults();
        let found = faults.iter().any(|fault| matches!(fault.what, What::StillCached { was: 1, now: 2, .. }));
        assert_eq!(found, is_global, "{faults:?}");
        write(0);
    }
}

/// More than are forgotten one by one.
fn many_entries_are_forgotten_at_once<P: Paging>() {
    let machine = machine::<P, U64>(2);
    let pages = pages(&machine, 65);
    machine.cpu(0).task(|task| {
        let ((), counts) = machine.cpu(0).count(|| pages.iter().for_each(|page| read(task, page)));
        assert_eq!((counts.flush_all, counts.invlpg), (2, 0), "this CPU, and as the other one");
    });
    check(&machine);
}

#[test]
fn a_sleeper_that_nobody_wakes_is_found_out() {
    let machine = machine::<Pae, U2>(2);
    let [one, two, three] = [(); 3].map(|()| machine.alloc(Zone::High));
    let message = panic_of(|| {
        machine.interleave(
            Schedules::exhaustive(0),
            1,
            |cpu| {
                cpu.task(|task| {
                    mem::forget(kmap_pair(task, &one, &two).unwrap());
                    // Both entries are lost: nobody will ever leave one.
                    drop(kmap(task, &three));
                });
            },
            || (),
        )
    });
    assert!(message.contains("all CPUs sleep"), "{message}");
    machine.faults();
}

#[test]
fn a_signal_ends_a_wait() {
    let machine = machine::<Pae, U2>(2);
    let [one, two, three] = [(); 3].map(|()| machine.alloc(Zone::High));
    machine.cpu(0).task(|task| {
        mem::forget(kmap_pair(task, &one, &two).unwrap());
        machine.cpu(0).signal();
        assert_eq!(kmap(task, &three).map(|_| ()).unwrap_err().why, Refusal::GaveUp);
        machine.reports();
    });
}
