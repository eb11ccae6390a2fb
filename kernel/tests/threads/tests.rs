//! Do threads, wait queues and calls between CPUs do what they promise?

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering::SeqCst};
use core::time::Duration;
use core::{hint, mem};

use highmem::{PAGE_SIZE, kmap_atomic};
use kernel::frames;
use kernel::kmap::{self, HardIrq, Softirq, Task};
use kernel::sync::IrqLock;
use kernel::thread::{self, JoinHandle};
use kernel::wait::WaitQueue;
use kernel::{cpu, harness, ipi, irq, paging, probe, smp, softirq, timer};

use crate::registers;

kernel::main!(threads_tests);

fn threads_tests(task: &mut Task<'_>) {
    harness::run_tests_and_panic(
        task,
        &[
            ("a_thread_gives_its_result", a_thread_gives_its_result),
            ("a_thread_starts_with_everything_on", a_thread_starts_with_everything_on),
            ("every_stack_has_a_page_below_that_is_not_mapped", every_stack_has_a_page_below_that_is_not_mapped),
            ("threads_come_and_go", threads_come_and_go),
            ("a_thread_that_never_yields_starves_nobody", a_thread_that_never_yields_starves_nobody),
            ("a_thread_that_yields_lets_the_others_run", a_thread_that_yields_lets_the_others_run),
            ("threads_move_between_cpus_unless_bound", threads_move_between_cpus_unless_bound),
            ("preemption_off_keeps_the_cpu", preemption_off_keeps_the_cpu),
            ("softirqs_off_keep_the_cpu", softirqs_off_keep_the_cpu),
            ("registers_survive_preemption", registers_survive_preemption),
            ("threads_of_one_cpu_use_one_slot_in_turn", threads_of_one_cpu_use_one_slot_in_turn),
            ("threads_that_move_map_where_they_are", threads_that_move_map_where_they_are),
            ("a_sleeper_sleeps_long_enough", a_sleeper_sleeps_long_enough),
            ("an_interrupt_wakes_a_thread", an_interrupt_wakes_a_thread),
            ("a_thread_wakes_one_with_interrupts_off", a_thread_wakes_one_with_interrupts_off),
            ("waiters_are_woken_one_by_one_in_their_order", waiters_are_woken_one_by_one_in_their_order),
            ("wake_all_wakes_all", wake_all_wakes_all),
            ("a_wake_up_before_the_sleep_counts", a_wake_up_before_the_sleep_counts),
            ("a_wait_ends_at_its_time_or_before", a_wait_ends_at_its_time_or_before),
            ("a_wake_up_that_is_not_needed_goes_to_the_next", a_wake_up_that_is_not_needed_goes_to_the_next),
            ("a_wake_up_passes_over_those_who_still_wait", a_wake_up_passes_over_those_who_still_wait),
            ("no_wake_up_is_lost", no_wake_up_is_lost),
            ("no_wake_up_of_those_who_are_asked_is_lost", no_wake_up_of_those_who_are_asked_is_lost),
            ("a_call_reaches_every_other_cpu_in_an_interrupt", a_call_reaches_every_other_cpu_in_an_interrupt),
            ("a_call_reaches_a_cpu_that_spins", a_call_reaches_a_cpu_that_spins),
            ("all_cpus_call_each_other_at_once", all_cpus_call_each_other_at_once),
        ],
        (
            "contexts_forgotten_without_end_stop_the_machine",
            contexts_forgotten_without_end_stop_the_machine,
            "preemption or interrupts are off for too many reasons: contexts were forgotten",
        ),
    )
}

// What the tests have in common

/// How long something may take that takes far less.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ticks a second on the first CPU, and clocks between two on the others, for many switches.
const RATE: u32 = 1_000;
const CLOCKS: u32 = 1_000_000;

/// Spins until something is so, with this CPU kept from nobody.
#[track_caller]
fn spin_until(what: &str, condition: impl Fn() -> bool) {
    let end = timer::uptime() + PATIENCE;
    while !condition() {
        assert!(timer::uptime() < end, "not within {PATIENCE:?}: {what}");
        hint::spin_loop();
    }
}

/// Waits until all threads have ended; for ever would be too long.
#[track_caller]
fn join_all<T>(task: &mut Task<'_>, threads: Vec<JoinHandle<T>>) -> Vec<T> {
    let end = timer::uptime() + PATIENCE;
    while let Some(late) = threads.iter().position(|thread| !thread.is_finished()) {
        assert!(timer::uptime() < end, "thread {late} of {} does not end", threads.len());
        thread::sleep(task, Duration::from_millis(2));
    }
    threads.into_iter().map(|thread| thread.join(task)).collect()
}

/// Runs `f` while all CPUs have many ticks.
fn with_many_ticks<R>(task: &mut Task<'_>, f: impl FnOnce(&mut Task<'_>) -> R) -> R {
    timer::set_rate(RATE);
    smp::run_on_all(task, |_, _| timer::start_local(CLOCKS));
    let result = f(task);
    smp::run_on_all(task, |_, _| timer::stop_local());
    timer::set_rate(timer::DEFAULT_RATE);
    result
}

// Beginning and end

fn a_thread_gives_its_result(task: &mut Task<'_>) {
    let words = ["one", "two", "three"].map(String::from);
    let threads = words.map(|word| thread::spawn("word", move |_| format!("{word}!")));
    assert_eq!(threads.map(|thread| thread.join(task)), ["one!", "two!", "three!"]);

    // One that has ended long ago, and one that starts another.
    let early = thread::spawn("early", |_| 1);
    spin_until("a thread ends on its own", || early.is_finished());
    assert_eq!(early.join(task), 1);
    let outer = thread::spawn("outer", |task| thread::spawn("inner", |_| 2).join(task) + 1);
    assert_eq!(outer.join(task), 3);

    // Nobody waits for it, and what it has borrowed from the heap is dropped.
    let shared = Arc::new(());
    let owned = Arc::clone(&shared);
    drop(thread::spawn("alone", move |_| drop(owned)));
    spin_until("the thread's closure is dropped", || Arc::strong_count(&shared) == 1);
}

fn a_thread_starts_with_everything_on(task: &mut Task<'_>) {
    #[repr(align(16))]
    struct Aligned(u8);

    let check = |_: &mut Task<'_>| {
        assert!(irq::enabled() && !irq::in_interrupt());
        assert_eq!(kmap::preempt_count(), 0);
        let aligned = Aligned(7);
        let address = &raw const *hint::black_box(&aligned) as usize;
        assert!(thread::stack().contains(&address) && address.is_multiple_of(16), "{address:#x}");
        hint::black_box(aligned.0)
    };
    check(task);
    for cpu in 0..smp::count() {
        assert_eq!(thread::spawn_on(cpu, "check", check).join(task), 7);
    }
}

fn every_stack_has_a_page_below_that_is_not_mapped(task: &mut Task<'_>) {
    static DONE: AtomicBool = AtomicBool::new(false);

    // All at once, so that each has another stack.
    let check = |_: &mut Task<'_>| {
        let stack = thread::stack();
        assert!(probe::read_u8(stack.start).is_ok() && probe::read_u8(stack.end - 1).is_ok());
        for address in [stack.start - 1, stack.start - PAGE_SIZE] {
            let fault = probe::read_u8(address).expect_err("the page below the stack is mapped");
            assert!(fault.address == address && !fault.was_present(), "{fault}");
        }
        spin_until("all have a stack", || DONE.load(SeqCst));
        stack.start
    };
    let threads: Vec<_> = (1..thread::MAX).map(|_| thread::spawn("stack", check)).collect();
    DONE.store(true, SeqCst);
    let mut stacks = join_all(task, threads);
    stacks.push(thread::stack().start);
    stacks.sort_unstable();
    stacks.dedup();
    assert_eq!(stacks.len(), thread::MAX);
}

fn threads_come_and_go(task: &mut Task<'_>) {
    for round in 0..100 {
        let threads: Vec<_> = (1..thread::MAX).map(|index| thread::spawn("short", move |_| round * index)).collect();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join(task)).collect();
        assert!(results.into_iter().eq((1..thread::MAX).map(|index| round * index)));
    }
}

// Preemption

/// Two threads of one CPU that pass the turn to and fro, and never say that they wait.
fn a_thread_that_never_yields_starves_nobody(task: &mut Task<'_>) {
    const ROUNDS: u32 = 20;
    static TURN: AtomicU32 = AtomicU32::new(0);

    fn player(parity: u32) {
        for round in (parity..ROUNDS).step_by(2) {
            spin_until("the other thread of this CPU plays", || TURN.load(SeqCst) == round);
            TURN.store(round + 1, SeqCst);
        }
    }

    for cpu in 0..smp::count() {
        TURN.store(0, SeqCst);
        let players = [0, 1].map(|parity| thread::spawn_on(cpu, "player", move |_| player(parity)));
        join_all(task, players.into());
        assert_eq!(TURN.load(SeqCst), ROUNDS);
    }
}

fn a_thread_that_yields_lets_the_others_run(task: &mut Task<'_>) {
    const ROUNDS: u32 = 100;
    static TURN: AtomicU32 = AtomicU32::new(0);

    // Without yielding, each would last to the end of its time: 10 ms.
    let before = timer::uptime();
    let players = [0, 1].map(|parity| {
        thread::spawn_on(0, "player", move |task| {
            for round in (parity..ROUNDS).step_by(2) {
                while TURN.load(SeqCst) != round {
                    thread::yield_now(task);
                }
                TURN.store(round + 1, SeqCst);
            }
        })
    });
    for player in players {
        player.join(task);
    }
    let (time, in_turns) = (timer::uptime() - before, ROUNDS * timer::period());
    assert!(time < in_turns / 2, "{time:?}, where a round a tick takes {in_turns:?}");
}

fn threads_move_between_cpus_unless_bound(task: &mut Task<'_>) {
    /// The CPUs that a thread finds itself on, one bit each, until it has seen so many.
    fn watch(wanted: u32) -> u32 {
        let seen = AtomicU32::new(0);
        spin_until("the thread moves", || {
            seen.fetch_or(1 << cpu::number(), SeqCst);
            seen.load(SeqCst).count_ones() >= wanted
        });
        seen.into_inner()
    }

    // More threads than CPUs, some of them bound; and all CPUs are kept busy until those that move have moved.
    static MOVED: AtomicBool = AtomicBool::new(false);
    MOVED.store(false, SeqCst);
    let cpus = smp::count();
    with_many_ticks(task, |task| {
        let bound: Vec<_> = (0..cpus)
            .map(|own| {
                thread::spawn_on(own, "bound", move |_| {
                    spin_until("the others move", || {
                        assert_eq!(cpu::number(), own, "a bound thread has moved");
                        MOVED.load(SeqCst)
                    });
                })
            })
            .collect();
        let wanted = cpus.min(2) as u32;
        let free: Vec<_> = (0..6).map(|_| thread::spawn("free", move |_| watch(wanted))).collect();
        for seen in join_all(task, free) {
            assert!(seen.count_ones() >= wanted && seen >> cpus == 0, "{seen:#b}");
        }
        MOVED.store(true, SeqCst);
        join_all(task, bound);
    });
}

/// Counts the rounds of a thread that wants the CPU all the time, until it is told to stop.
struct Rival {
    rounds: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Rival {
    fn on(cpu: usize) -> Self {
        let (rounds, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, told) = (Arc::clone(&rounds), Arc::clone(&stop));
        let thread = thread::spawn_on(cpu, "rival", move |_| {
            while !told.load(SeqCst) {
                count.fetch_add(1, SeqCst);
            }
        });
        spin_until("the rival starts", || rounds.load(SeqCst) > 0);
        Self { rounds, stop, thread }
    }

    fn rounds(&self) -> u32 {
        self.rounds.load(SeqCst)
    }

    fn end(self, task: &mut Task<'_>) {
        self.stop.store(true, SeqCst);
        self.thread.join(task);
    }
}

/// Ticks that each CPU has had while a test watches.
static TICKS: [AtomicU32; cpu::MAX] = [const { AtomicU32::new(0) }; _];

fn count_tick(_: &mut HardIrq<'_>) {
    TICKS[cpu::number()].fetch_add(1, SeqCst);
}

/// Waits for ticks of this CPU, each of which finds another thread ready.
fn wait_for_ticks(cpu: usize, count: u32) {
    let before = TICKS[cpu].load(SeqCst);
    spin_until("ticks come", || TICKS[cpu].load(SeqCst) >= before + count);
}

fn preemption_off_keeps_the_cpu(task: &mut Task<'_>) {
    const ROUNDS: u32 = 20;

    timer::set_handler(count_tick);
    smp::run_on_all(task, |task, cpu| {
        timer::start_local(CLOCKS);
        let rival = Rival::on(cpu);
        // Where a machine is slow, the next tick may take the CPU from the rival before its first instruction; but not each time.
        let mut switched = 0;
        for _ in 0..ROUNDS {
            let mut atomic = task.atomic();
            let mut mapped = kmap_atomic(atomic.slots().user0, frames::alloc_highmem().expect("a frame"));
            mapped.fill(cpu as u8);
            let before = rival.rounds();
            wait_for_ticks(cpu, 5);
            assert!(cpu::number() == cpu && mapped.iter().all(|&byte| byte == cpu as u8));
            drop(mapped);
            assert_eq!(rival.rounds(), before, "another thread ran on this CPU, with preemption off");
            drop(atomic);
            switched += u32::from(rival.rounds() > before);
        }
        assert!(
            switched > ROUNDS / 3,
            "only {switched} of {ROUNDS} contexts let the thread run that was due at their end"
        );
        rival.end(task);
        timer::stop_local();
    });
    timer::clear_handler();
}

/// With softirqs off and in a softirq, a tick does not switch; nor does the softirq's end, which is in an interrupt.
fn softirqs_off_keep_the_cpu(task: &mut Task<'_>) {
    static SOFTIRQS: AtomicU32 = AtomicU32::new(0);
    static RIVAL: IrqLock<Option<Arc<AtomicU32>>> = IrqLock::new(None);

    fn bottom_half(_: &mut Softirq<'_>) {
        let Some(rounds) = RIVAL.with(|rival| rival.clone()) else { return };
        let before = rounds.load(SeqCst);
        wait_for_ticks(cpu::number(), 3);
        assert_eq!(rounds.load(SeqCst), before, "another thread ran inside a softirq");
        SOFTIRQS.fetch_add(1, SeqCst);
    }

    timer::set_handler(count_tick);
    softirq::set_handler(bottom_half);
    let rival = Rival::on(0);
    RIVAL.with(|slot| *slot = Some(Arc::clone(&rival.rounds)));
    for round in 1..=5 {
        softirq::raise();
        spin_until("the softirq runs", || SOFTIRQS.load(SeqCst) >= round);
    }
    let mut atomic = task.atomic();
    let bh_off = atomic.bh_off();
    let before = rival.rounds();
    wait_for_ticks(0, 5);
    assert_eq!(rival.rounds(), before, "another thread ran on this CPU, with softirqs off");
    drop(bh_off);
    drop(atomic);
    RIVAL.with(|slot| *slot = None);
    rival.end(task);
    timer::clear_handler();
}

fn registers_survive_preemption(task: &mut Task<'_>) {
    const WANTED: u32 = 100;

    with_many_ticks(task, |task| {
        smp::run_on_all(task, |task, cpu| {
            let rival = thread::spawn_on(cpu, "registers", move |_| hold_registers());
            hold_registers();
            rival.join(task);
        });
    });

    /// Until the two threads of this CPU have been switched often enough, each in the middle of this.
    fn hold_registers() {
        static TURNS: [AtomicU32; cpu::MAX] = [const { AtomicU32::new(0) }; _];
        static SWITCHES: [AtomicU32; cpu::MAX] = [const { AtomicU32::new(0) }; _];
        let (turns, switches) = (&TURNS[cpu::number()], &SWITCHES[cpu::number()]);
        spin_until("the threads take turns", || {
            let before = turns.load(SeqCst);
            assert_eq!(registers::hold_registers(20_000), 0, "bits that another thread has changed");
            if turns.fetch_add(1, SeqCst) != before {
                switches.fetch_add(1, SeqCst);
            }
            switches.load(SeqCst) >= WANTED
        });
    }
}

/// Each thread maps a frame of its own in the same slot, and finds what it wrote, whoever comes in between.
fn threads_of_one_cpu_use_one_slot_in_turn(task: &mut Task<'_>) {
    const SWITCHES: u32 = 50;

    fn map_until(signature: u32, task: &mut Task<'_>, last: &AtomicU32, switches: &AtomicU32) {
        let mut frame = frames::alloc_highmem().expect("a frame of high memory");
        let mut round = 0_u32;
        while switches.load(SeqCst) < SWITCHES {
            let word = (signature << 28 | round & 0xfff_ffff).to_le_bytes();
            {
                let mut atomic = task.atomic();
                let mut mapped = kmap_atomic(atomic.slots().user0, &mut frame);
                mapped.chunks_exact_mut(4).for_each(|chunk| chunk.copy_from_slice(&word));
            }
            if last.swap(signature, SeqCst) != signature {
                switches.fetch_add(1, SeqCst);
            }
            let mut atomic = task.atomic();
            let mapped = kmap_atomic(atomic.slots().user0, &frame);
            assert!(mapped.chunks_exact(4).all(|chunk| chunk == word), "a thread sees another's bytes");
            round = round.wrapping_add(1);
        }
    }

    with_many_ticks(task, |task| {
        smp::run_on_all(task, |task, cpu| {
            let (last, switches) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
            let of_rival = (Arc::clone(&last), Arc::clone(&switches));
            let rival = thread::spawn_on(cpu, "rival", move |task| map_until(1, task, &of_rival.0, &of_rival.1));
            map_until(2, task, &last, &switches);
            rival.join(task);
        });
    });
}

/// The slot's address is that of the CPU that the thread is on, and its entry is in the tables that this CPU uses; both stay so for as long
/// as the slot is mapped.
fn threads_that_move_map_where_they_are(task: &mut Task<'_>) {
    const THREADS: u8 = 6;
    static MOVED: AtomicU8 = AtomicU8::new(0);
    /// The address of the slot on each CPU, as whoever maps there first finds it.
    static ADDRESSES: [AtomicUsize; cpu::MAX] = [const { AtomicUsize::new(0) }; _];

    fn map(signature: u8, task: &mut Task<'_>) {
        let mut frame = frames::alloc_highmem().expect("a frame of high memory");
        let mut seen = 0_u32;
        let end = timer::uptime() + PATIENCE;
        let mut round = 0;
        // Who has moved goes on, so that there are more threads than CPUs until all have.
        while round < 500 || MOVED.load(SeqCst) < THREADS {
            assert!(timer::uptime() < end, "a thread does not move");
            let mut atomic = task.atomic();
            let mut mapped = kmap_atomic(atomic.slots().user0, &mut frame);
            let (own, address) = (cpu::number(), mapped.address());
            assert!(kmap::slots().any(|(_, slot)| slot == address), "{address:#x} is not a slot of CPU {own}");
            mapped.fill(signature);
            // In the tables of the CPU that it is on now, which is the same.
            assert_eq!(cpu::number(), own);
            assert_eq!(paging::address(kmap::entry(address)), mapped.pfn().address(), "the entry is another CPU's");
            assert!(mapped.iter().all(|&byte| byte == signature));
            drop(mapped);
            drop(atomic);
            let first = ADDRESSES[own].compare_exchange(0, address, SeqCst, SeqCst).unwrap_or_else(|first| first);
            assert!(first == 0 || first == address, "CPU {own} has its slot at {first:#x} and at {address:#x}");
            let before = seen;
            seen |= 1 << own;
            if seen != before && seen.count_ones() as usize == smp::count().min(2) {
                MOVED.fetch_add(1, SeqCst);
            }
            round += 1;
        }
    }

    with_many_ticks(task, |task| {
        let threads: Vec<_> =
            (0..THREADS).map(|signature| thread::spawn("map", move |task| map(signature, task))).collect();
        join_all(task, threads);
    });
    let mut addresses: Vec<_> = ADDRESSES.iter().map(|address| address.load(SeqCst)).filter(|&at| at != 0).collect();
    let cpus = addresses.len();
    addresses.sort_unstable();
    addresses.dedup();
    assert!(cpus >= smp::count().min(2), "threads were on {cpus} CPUs");
    assert_eq!(addresses.len(), if cfg!(feature = "cpu-window") { 1 } else { cpus }, "{addresses:#x?}");
}

// Sleeping and waking

fn a_sleeper_sleeps_long_enough(task: &mut Task<'_>) {
    let sleepers = [80, 20, 50, 0].map(|time| {
        thread::spawn("sleeper", move |task| {
            let (time, before) = (Duration::from_millis(time), timer::uptime());
            thread::sleep(task, time);
            let slept = timer::uptime() - before;
            assert!(slept >= time, "{slept:?} of {time:?}");
            assert!(slept <= time + PATIENCE / 10, "{slept:?} instead of {time:?}");
            timer::uptime()
        })
    });
    let ends = sleepers.map(|sleeper| sleeper.join(task));
    assert!(ends[1] < ends[0] && ends[1] <= ends[2] && ends[2] <= ends[0], "{ends:?}");

    // One that spins does not keep another asleep.
    let spinner = Rival::on(0);
    let before = spinner.rounds();
    thread::sleep(task, Duration::from_millis(30));
    assert!(spinner.rounds() > before);
    spinner.end(task);
}

fn an_interrupt_wakes_a_thread(task: &mut Task<'_>) {
    static READY: AtomicU32 = AtomicU32::new(0);
    static QUEUE: WaitQueue = WaitQueue::new();

    fn tick(_: &mut HardIrq<'_>) {
        READY.fetch_add(1, SeqCst);
        QUEUE.wake_one();
    }

    timer::set_handler(tick);
    with_many_ticks(task, |task| {
        let waiters = (0..smp::count()).map(|cpu| {
            thread::spawn_on(cpu, "waiter", move |task| {
                for _ in 0..100 {
                    // A tick that has not been waited for yet.
                    QUEUE.wait(task, || READY.fetch_update(SeqCst, SeqCst, |ready| ready.checked_sub(1)).is_ok());
                    assert!(irq::enabled() && !irq::in_interrupt() && cpu::number() == cpu);
                }
            })
        });
        let waiters = waiters.collect();
        join_all(task, waiters);
    });
    timer::clear_handler();
}

fn a_thread_wakes_one_with_interrupts_off(task: &mut Task<'_>) {
    static READY: AtomicBool = AtomicBool::new(false);
    static QUEUE: WaitQueue = WaitQueue::new();

    let waiter = thread::spawn("waiter", |task| QUEUE.wait(task, || READY.load(SeqCst)));
    thread::sleep(task, Duration::from_millis(5));
    let mut atomic = task.atomic();
    let irqs_off = atomic.irqs_off();
    assert!(!waiter.is_finished());
    READY.store(true, SeqCst);
    QUEUE.wake_one();
    assert!(!irq::enabled());
    drop(irqs_off);
    drop(atomic);
    join_all(task, [waiter].into());
}

/// Several threads that wait for one thing, each in the queue before the next one comes.
struct Waiters {
    threads: Vec<JoinHandle<()>>,
    shared: Arc<WaitersShared>,
}

struct WaitersShared {
    queue: WaitQueue,
    /// How many may go on.
    tokens: AtomicUsize,
    /// How often each has looked.
    looks: [AtomicU32; Waiters::COUNT],
    /// Who has gone on, in order.
    order: IrqLock<Vec<usize>>,
}

impl Waiters {
    const COUNT: usize = 8;

    fn new() -> Self {
        let shared = Arc::new(WaitersShared {
            queue: WaitQueue::new(),
            tokens: AtomicUsize::new(0),
            looks: [const { AtomicU32::new(0) }; Self::COUNT],
            order: IrqLock::new(Vec::new()),
        });
        let start = |index: usize| {
            let own: Arc<WaitersShared> = Arc::clone(&shared);
            let thread = thread::spawn("waiter", move |task| {
                own.queue.wait(task, || {
                    own.looks[index].fetch_add(1, SeqCst);
                    own.tokens.fetch_update(SeqCst, SeqCst, |tokens| tokens.checked_sub(1)).is_ok()
                });
                own.order.with(|order| order.push(index));
            });
            // The first look comes when the thread is in the queue.
            spin_until("the thread looks", || shared.looks[index].load(SeqCst) == 1);
            thread
        };
        let threads = (0..Self::COUNT).map(start).collect();
        Self { threads, shared }
    }

    /// How many have gone on.
    fn gone(&self) -> usize {
        self.shared.order.with(|order| order.len())
    }

    fn looks(&self) -> [u32; Self::COUNT] {
        self.shared.looks.each_ref().map(|looks| looks.load(SeqCst))
    }
}

fn waiters_are_woken_one_by_one_in_their_order(task: &mut Task<'_>) {
    let waiters = Waiters::new();
    let shared = Arc::clone(&waiters.shared);
    for number in 0..Waiters::COUNT {
        thread::sleep(task, Duration::from_millis(1));
        let looks: [u32; Waiters::COUNT] = core::array::from_fn(|index| if index < number { 2 } else { 1 });
        assert_eq!(waiters.looks(), looks, "one wake-up is for one thread");
        shared.tokens.store(1, SeqCst);
        shared.queue.wake_one();
        spin_until("the thread goes on", || waiters.gone() == number + 1);
    }
    join_all(task, waiters.threads);
    shared.order.with(|order| assert!(order.iter().copied().eq(0..Waiters::COUNT), "{order:?}"));

    // Those that are woken for nothing keep their places.
    let waiters = Waiters::new();
    let shared = Arc::clone(&waiters.shared);
    shared.queue.wake_all();
    spin_until("all look again", || waiters.looks().iter().all(|&looks| looks == 2));
    for number in 0..Waiters::COUNT {
        shared.tokens.store(1, SeqCst);
        shared.queue.wake_one();
        spin_until("the thread goes on", || waiters.gone() == number + 1);
    }
    join_all(task, waiters.threads);
    shared.order.with(|order| assert!(order.iter().copied().eq(0..Waiters::COUNT), "{order:?}"));
}

fn wake_all_wakes_all(task: &mut Task<'_>) {
    let waiters = Waiters::new();
    let shared = Arc::clone(&waiters.shared);
    shared.tokens.store(Waiters::COUNT, SeqCst);
    shared.queue.wake_all();
    join_all(task, waiters.threads);
    shared.order.with(|order| assert_eq!(order.len(), Waiters::COUNT));
}

/// What is waited for happens after the thread has looked, and before it sleeps.
fn a_wake_up_before_the_sleep_counts(task: &mut Task<'_>) {
    static QUEUE: WaitQueue = WaitQueue::new();

    let waiter = thread::spawn("waiter", |task| {
        for _ in 0..100 {
            let mut looks = 0;
            QUEUE.wait(task, || {
                looks += 1;
                if looks == 1 {
                    QUEUE.wake_one();
                }
                looks == 2
            });
        }
    });
    join_all(task, [waiter].into());
}

/// A wait with a deadline ends there if nobody wakes the thread, and leaves nothing of it in the queue; and before, if somebody does.
fn a_wait_ends_at_its_time_or_before(task: &mut Task<'_>) {
    static QUEUE: WaitQueue = WaitQueue::new();
    static SO: AtomicBool = AtomicBool::new(false);
    static LOOKS: AtomicU32 = AtomicU32::new(0);
    let time = Duration::from_millis(50);

    let start = timer::uptime();
    assert!(!QUEUE.wait_to(task, start + time, || false));
    let waited = timer::uptime() - start;
    assert!(waited >= time && waited < PATIENCE, "{waited:?}");
    assert!(QUEUE.wait_to(task, start, || true), "what is so need not be waited for");

    // The one that has given up, though it came first, gets no wake-up that is meant for another.
    let look = || LOOKS.fetch_add(1, SeqCst) == u32::MAX;
    let late = thread::spawn("late", move |task| QUEUE.wait_to(task, timer::uptime() + time, look));
    spin_until("the first waits", || LOOKS.load(SeqCst) == 1);
    let waiter =
        thread::spawn("waiter", |task| QUEUE.wait_to(task, timer::uptime() + 2 * PATIENCE, || SO.load(SeqCst)));
    assert!(!late.join(task));
    assert!(!waiter.is_finished());
    SO.store(true, SeqCst);
    QUEUE.wake_one();
    spin_until("the thread is woken", || waiter.is_finished());
    assert!(waiter.join(task));

    // Its alarm does not outlast the wait.
    assert!(QUEUE.wait_to(task, timer::uptime() + time, || true));
    thread::sleep(task, 2 * time);
}

/// A thread is woken while it finds that it need not wait: then the next one in the queue is to be woken.
fn a_wake_up_that_is_not_needed_goes_to_the_next(task: &mut Task<'_>) {
    static LOOKS: AtomicU32 = AtomicU32::new(0);
    static DONE: AtomicBool = AtomicBool::new(false);
    static QUEUE: WaitQueue = WaitQueue::new();

    // The first one is in the queue, and holds its look until the second one is there, too, and has been passed over.
    let first = thread::spawn("first", |task| {
        QUEUE.wait(task, || {
            if LOOKS.fetch_add(1, SeqCst) == 0 {
                spin_until("the wake-up comes", || DONE.load(SeqCst));
            }
            true
        });
    });
    spin_until("the first looks", || LOOKS.load(SeqCst) == 1);
    let second = thread::spawn("second", |task| {
        QUEUE.wait(task, || {
            LOOKS.fetch_add(1, SeqCst);
            DONE.load(SeqCst)
        });
    });
    spin_until("the second looks", || LOOKS.load(SeqCst) == 2);
    thread::sleep(task, Duration::from_millis(20));
    QUEUE.wake_one();
    assert_eq!(LOOKS.load(SeqCst), 2);
    DONE.store(true, SeqCst);
    join_all(task, [first, second].into());
}

/// Producers and consumers, and room for less than they are: each waits for the other all the time, and one wake-up that is lost is the
/// end of it.
fn no_wake_up_is_lost(task: &mut Task<'_>) {
    const THREADS: usize = 6;
    const ITEMS: usize = 1_500;
    const ROOM: usize = 2;
    static BUFFER: IrqLock<VecDeque<usize>> = IrqLock::new(VecDeque::new());
    static FILLED: WaitQueue = WaitQueue::new();
    static EMPTIED: WaitQueue = WaitQueue::new();

    fn produce(item: usize, task: &mut Task<'_>) {
        EMPTIED.wait(task, || {
            BUFFER.with(|buffer| {
                let room = buffer.len() < ROOM;
                if room {
                    buffer.push_back(item);
                }
                room
            })
        });
        FILLED.wake_one();
    }

    fn consume(task: &mut Task<'_>) -> usize {
        let mut item = None;
        FILLED.wait(task, || {
            item = BUFFER.with(VecDeque::pop_front);
            item.is_some()
        });
        EMPTIED.wake_one();
        item.expect("it has been waited for")
    }

    with_many_ticks(task, |task| {
        let mut threads = Vec::new();
        for index in 0..THREADS {
            threads.push(thread::spawn("consumer", |task| (0..ITEMS).map(|_| consume(task)).sum::<usize>()));
            threads.push(thread::spawn("producer", move |task| {
                (0..ITEMS).for_each(|item| produce(index * ITEMS + item, task));
                0
            }));
        }
        let sum: usize = join_all(task, threads).into_iter().sum();
        assert_eq!(sum, (0..THREADS * ITEMS).sum());
    });
}

/// Each waits for something of its own, which happens in another order than they came in.
fn a_wake_up_passes_over_those_who_still_wait(task: &mut Task<'_>) {
    const THREADS: usize = 6;
    static READY: [AtomicBool; THREADS] = [const { AtomicBool::new(false) }; _];
    static LOOKS: [AtomicU32; THREADS] = [const { AtomicU32::new(0) }; _];
    static QUEUE: WaitQueue = WaitQueue::new();

    let start = |own: usize| {
        let thread = thread::spawn("waiter", move |task| {
            QUEUE.wait_asked(task, &|| {
                LOOKS[own].fetch_add(1, SeqCst);
                READY[own].load(SeqCst)
            });
        });
        spin_until("the thread looks", || LOOKS[own].load(SeqCst) > 0);
        thread
    };
    let threads: Vec<_> = (0..THREADS).map(start).collect();
    thread::sleep(task, Duration::from_millis(20));
    QUEUE.wake_one();
    assert!(LOOKS.iter().all(|looks| looks.load(SeqCst) == 2), "each is asked, and nobody is woken");
    for (number, own) in [3, 5, 1, 0, 4, 2].into_iter().enumerate() {
        READY[own].store(true, SeqCst);
        QUEUE.wake_one();
        spin_until("the one that is ready goes on", || threads[own].is_finished());
        assert_eq!(threads.iter().filter(|thread| thread.is_finished()).count(), number + 1);
    }
    join_all(task, threads);
}

/// Threads hand the turn to each other, in no order. One wake-up that is lost, or that goes to another, is the end of it.
fn no_wake_up_of_those_who_are_asked_is_lost(task: &mut Task<'_>) {
    const THREADS: usize = 10;
    const ROUNDS: usize = 6_000;
    static TURN: AtomicUsize = AtomicUsize::new(0);
    static PLAYED: AtomicUsize = AtomicUsize::new(0);
    static QUEUE: WaitQueue = WaitQueue::new();

    fn player(own: usize, task: &mut Task<'_>) -> usize {
        let mut played = 0;
        loop {
            QUEUE.wait_asked(task, &|| TURN.load(SeqCst) == own || PLAYED.load(SeqCst) >= ROUNDS);
            let round = PLAYED.fetch_add(1, SeqCst);
            if round >= ROUNDS {
                QUEUE.wake_one();
                return played;
            }
            played += 1;
            let step = (round as u32).wrapping_mul(0x9e37_79b9) >> 16;
            TURN.store((own + 1 + step as usize % (THREADS - 1)) % THREADS, SeqCst);
            QUEUE.wake_one();
        }
    }

    with_many_ticks(task, |task| {
        let threads = (0..THREADS).map(|own| thread::spawn("player", move |task| player(own, task))).collect();
        let played = join_all(task, threads);
        assert_eq!(played.iter().sum::<usize>(), ROUNDS);
        assert!(played.iter().all(|&played| played > 0), "{played:?}");
    });
}

// Calls between CPUs

/// How often each CPU has been called.
static CALLS: [AtomicU32; cpu::MAX] = [const { AtomicU32::new(0) }; _];

fn count_call(_: &mut HardIrq<'_>) {
    assert!(irq::in_interrupt() && !irq::enabled());
    CALLS[cpu::number()].fetch_add(1, SeqCst);
}

fn take_calls() -> Vec<u32> {
    CALLS[..smp::count()].iter().map(|calls| calls.swap(0, SeqCst)).collect()
}

fn a_call_reaches_every_other_cpu_in_an_interrupt(task: &mut Task<'_>) {
    take_calls();
    for caller in 0..smp::count() {
        let call = thread::spawn_on(caller, "caller", move |task| {
            ipi::call_on_others(count_call);
            let expected: Vec<_> = (0..smp::count()).map(|cpu| u32::from(cpu != caller)).collect();
            assert_eq!(take_calls(), expected, "the call is over when all have done it");

            // With preemption off, and with something borrowed.
            let atomic = task.atomic();
            ipi::call_on_others(count_call);
            drop(atomic);
            assert_eq!(take_calls(), expected);
            let seen = AtomicU32::new(0);
            ipi::call_on_others_with(task, &|_| {
                seen.fetch_or(1 << cpu::number(), SeqCst);
            });
            let others = ((1_u32 << smp::count()) - 1) & !(1 << caller);
            assert_eq!(seen.into_inner(), others);
        });
        join_all(task, [call].into());
    }
}

/// The one who spins waits for what only the caller can give, with interrupts on.
fn a_call_reaches_a_cpu_that_spins(task: &mut Task<'_>) {
    static LOCK: spin::Mutex<()> = spin::Mutex::new(());
    static SPINNING: AtomicU32 = AtomicU32::new(0);

    take_calls();
    SPINNING.store(0, SeqCst);
    let atomic = task.atomic();
    let held = LOCK.lock();
    let spinners: Vec<_> = (1..smp::count())
        .map(|cpu| {
            thread::spawn_on(cpu, "spinner", |task| {
                let _atomic = task.atomic();
                SPINNING.fetch_add(1, SeqCst);
                spin_until("the lock is free", || LOCK.try_lock().is_some());
            })
        })
        .collect();
    spin_until("all others spin", || SPINNING.load(SeqCst) as usize == smp::count() - 1);
    for _ in 0..10 {
        ipi::call_on_others(count_call);
    }
    assert!(take_calls()[1..].iter().all(|&calls| calls == 10));
    drop(held);
    drop(atomic);
    join_all(task, spinners);
}

/// Every CPU calls, with ticks, softirqs and several threads that call on each, and all calls arrive.
fn all_cpus_call_each_other_at_once(task: &mut Task<'_>) {
    // Each waits for CPUs that wait for their turn: with fewer processors than CPUs below, that is a time slice of the host.
    const CALLS_EACH: u32 = 40;
    const CALLERS: u32 = 2;
    static SOFTIRQS: AtomicU32 = AtomicU32::new(0);

    take_calls();
    timer::set_handler(|_| softirq::raise());
    softirq::set_handler(|_| {
        SOFTIRQS.fetch_add(1, SeqCst);
    });
    with_many_ticks(task, |task| {
        let callers = (0..smp::count() * CALLERS as usize).map(|index| {
            thread::spawn_on(index % smp::count(), "caller", |task| {
                for _ in 0..CALLS_EACH {
                    let answers = AtomicU32::new(0);
                    ipi::call_on_others_with(task, &|irq| {
                        count_call(irq);
                        answers.fetch_add(1, SeqCst);
                    });
                    assert_eq!(answers.into_inner() as usize, smp::count() - 1);
                }
            })
        });
        let callers = callers.collect();
        join_all(task, callers);
    });
    timer::clear_handler();
    let each = CALLS_EACH * CALLERS * (smp::count() as u32 - 1);
    assert!(take_calls().into_iter().all(|calls| calls == each));
    spin_until("softirqs have run", || SOFTIRQS.load(SeqCst) > 0 || smp::count() == 1);
}

// The end

/// The count of reasons not to switch would begin again at zero, and with it two threads would have one slot.
fn contexts_forgotten_without_end_stop_the_machine(task: &mut Task<'_>) {
    for count in 0..cpu::MAX_PREEMPT_COUNT {
        assert_eq!(kmap::preempt_count(), count);
        mem::forget(task.atomic());
    }
    assert_eq!(kmap::preempt_count(), cpu::MAX_PREEMPT_COUNT);
    mem::forget(task.atomic());
}
