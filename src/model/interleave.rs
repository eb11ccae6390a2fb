//! Several CPUs, step by step: one runs, the others wait, and at each step it is decided anew who runs.

use core::cell::Cell;
use core::fmt;
use core::ptr;
use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::vec::Vec;

use super::PoolSize;
use super::cpu::{self, Cpu};
use super::machine::Machine;
use crate::paging::Paging;
use crate::slot::KmTypes;

/// Which orders of the steps of several CPUs are tried: for [`Machine::interleave`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedules(Which);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    Exhaustive { switches: usize },
    Random { seed: u64, runs: usize },
}

impl Schedules {
    /// All in which a CPU that could go on has to wait for another at most `switches` times. Most races need one or two.
    pub const fn exhaustive(switches: usize) -> Self {
        Self(Which::Exhaustive { switches })
    }

    /// As many as `runs`, each decision made by chance. The same `seed` gives the same schedules.
    pub const fn random(seed: u64, runs: usize) -> Self {
        Self(Which::Random { seed, runs })
    }
}

/// How long a CPU waits for its turn before something must be wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// So often in a row, everybody who is left waits for others; and so many decisions, and there is no end.
const MOST_PAUSES: usize = 1000;
const MOST_DECISIONS: usize = 1 << 20;

/// A decision: which of so many possibilities was taken, and which CPU that is.
#[derive(Clone, Copy)]
struct Decision {
    taken: usize,
    of: usize,
    cpu: usize,
}

/// Whose turn it is, in one run.
struct State {
    /// Who runs; `None` before all have come.
    running: Option<usize>,
    waiting_to_begin: usize,
    /// Those that are not done.
    alive: Vec<bool>,
    decisions: Vec<Decision>,
    /// What is decided already: the beginning of the run.
    prefix: Vec<usize>,
    /// How often a CPU that could go on may still have to wait.
    switches: usize,
    random: Option<Random>,
    /// How often in a row somebody waited for others.
    pauses: usize,
}

struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

std::thread_local! {
    /// The run that this thread takes part in.
    static TURNS: Cell<*const Turns> = const { Cell::new(ptr::null()) };
}

/// The run that this thread takes part in.
fn turns<'a>() -> Option<&'a Turns> {
    // SAFETY: `Machine::interleave` lends it to its threads, and takes it back before it ends.
    unsafe { TURNS.get().as_ref() }
}

/// Waits for this CPU's turn, if it takes part in a run.
pub(super) fn turn() {
    if let (Some(turns), Some(cpu), false) = (turns(), cpu::current(), thread::panicking()) {
        let mut state = turns.lock();
        state.pauses = 0;
        state.decide(Some(cpu));
        turns.changed.notify_all();
        turns.wait(state, cpu);
    }
}

/// Lets others go on, who have to before this CPU can.
pub(super) fn pause() {
    give_way(|| "wait for one another");
}

/// As [`pause`], for a CPU that sleeps until somebody wakes it, and goes on if `until` says yes then.
pub(super) fn sleep(until: impl Fn() -> bool) {
    give_way(|| if until() { "sleep, and what one waits for has come: a wake was lost" } else { "sleep" });
}

/// Whether this thread takes no part in a run.
pub(super) fn is_alone() -> bool {
    TURNS.get().is_null()
}

/// Runs `f` as one step.
pub(super) fn alone(f: impl FnOnce()) {
    /// Takes part again.
    struct Again(*const Turns);
    impl Drop for Again {
        fn drop(&mut self) {
            TURNS.set(self.0);
        }
    }
    let _again = Again(TURNS.replace(ptr::null()));
    f();
}

fn give_way(what: impl Fn() -> &'static str) {
    let (Some(turns), Some(cpu)) = (turns(), cpu::current()) else { return thread::yield_now() };
    let mut state = turns.lock();
    state.pauses += 1;
    if state.pauses > MOST_PAUSES || state.decisions.len() > MOST_DECISIONS {
        drop(state);
        if !thread::panicking() {
            panic!("all CPUs {}", what());
        }
        return thread::yield_now();
    }
    state.decide_without(cpu);
    turns.changed.notify_all();
    if thread::panicking() {
        drop(state);
        return thread::sleep(Duration::from_millis(1));
    }
    turns.wait(state, cpu);
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, mut state: MutexGuard<'_, State>, cpu: usize) {
        while state.running != Some(cpu) {
            let (again, late) = self.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = again;
            if late.timed_out() && state.running != Some(cpu) {
                let running = state.running;
                drop(state);
                panic!(
                    "CPU {cpu} waits for its turn, and CPU {running:?} has it and takes no step: does it wait for another?"
                );
            }
        }
    }

    fn begin(&self, cpu: usize) {
        let mut state = self.lock();
        state.waiting_to_begin -= 1;
        if state.waiting_to_begin == 0 {
            state.decide(None);
            self.changed.notify_all();
        }
        self.wait(state, cpu);
    }

    fn end(&self, cpu: usize) {
        let mut state = self.lock();
        state.alive[cpu] = false;
        state.decide(None);
        self.changed.notify_all();
    }
}

impl State {
    /// Decides who runs next. `current` runs, and can go on.
    fn decide(&mut self, current: Option<usize>) {
        let others = (0..self.alive.len()).filter(|&cpu| self.alive[cpu] && Some(cpu) != current);
        let may_switch = current.is_none() || self.switches > 0;
        let possible: Vec<usize> = current.into_iter().chain(others.filter(|_| may_switch)).collect();
        let of = possible.len();
        if of == 0 {
            self.running = None;
            return;
        }
        let taken = match (self.prefix.get(self.decisions.len()), &mut self.random) {
            (Some(&taken), _) => taken,
            (None, Some(random)) => random.below(of),
            (None, None) => 0,
        };
        let cpu = possible[taken];
        if current.is_some_and(|current| current != cpu) {
            self.switches -= 1;
        }
        self.decisions.push(Decision { taken, of, cpu });
        self.running = Some(cpu);
    }
}

impl State {
    /// Decides who runs next, for `current` waits for others: in turn, or by chance. That is no switch.
    fn decide_without(&mut self, current: usize) {
        let cpus = self.alive.len();
        let others = (1..cpus).map(|distance| (current + distance) % cpus).filter(|&cpu| self.alive[cpu]);
        let others: Vec<usize> = others.collect();
        let cpu = match (others.len(), &mut self.random) {
            (0, _) => current,
            (of, Some(random)) => others[random.below(of)],
            (_, None) => others[0],
        };
        self.decisions.push(Decision { taken: 0, of: 1, cpu });
        self.running = Some(cpu);
    }
}

/// Decides by chance, in the same way each time: SplitMix64.
#[derive(Clone, Copy)]
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % end as u64) as usize
    }
}

/// The beginning of the next run: that of the last one, with its last open decision made otherwise.
fn next_prefix(decisions: &[Decision]) -> Option<Vec<usize>> {
    let last = decisions.iter().rposition(|decision| decision.taken + 1 < decision.of)?;
    let mut prefix: Vec<usize> = decisions[..=last].iter().map(|decision| decision.taken).collect();
    prefix[last] += 1;
    Some(prefix)
}

/// The order in which CPUs ran, for messages.
struct Order<'a>(&'a [Decision]);

impl fmt::Display for Order<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|decision| write!(f, " {}", decision.cpu))
    }
}

impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> Machine<P, T, FORCE_MAP, E> {
    /// Runs `operation` on the first `cpus` CPUs at the same time, step by step, in one order of their steps after the other, and `check`
    /// after each run. Returns how many runs there were.
    ///
    /// A step is whatever the crate asks of the processor or of the kernel, in handlers, too. Between two steps a CPU runs alone. So
    /// `operation` must not wait for another CPU, unless it takes steps meanwhile. Whoever sleeps for an entry of the pool, spins on its
    /// lock or waits for others to flush lets them go on, and that is no switch; if nobody can go on, it is a panic.
    ///
    /// ```
    /// use highmem::kmap_atomic;
    /// use highmem::model::{Machine, Schedules, Zone};
    ///
    /// let machine = Machine::new();
    /// let page = machine.alloc(Zone::High);
    /// let runs = machine.interleave(
    ///     Schedules::exhaustive(1),
    ///     2,
    ///     |cpu| cpu.task(|task| assert_eq!(kmap_atomic(task.atomic().slots().user0, &page)[0], highmem::model::FRESH)),
    ///     || assert_eq!(machine.stale(), []),
    /// );
    /// assert!(runs > 20);
    /// ```
    ///
    /// # Panics
    /// With the panic of the operation or the check; before that, the order of the steps is printed. If this thread is a CPU.
    pub fn interleave(
        &self,
        schedules: Schedules,
        cpus: usize,
        operation: impl Fn(Cpu<'_, P, T, FORCE_MAP, E>) + Sync,
        mut check: impl FnMut(),
    ) -> usize {
        assert!((1..=self.cpus()).contains(&cpus), "the machine has {} CPUs, not {cpus}", self.cpus());
        assert_eq!(cpu::current(), None, "this thread is a CPU: the CPUs of a run are threads of their own");
        let (mut random, switches, mut left) = match schedules.0 {
            Which::Exhaustive { switches } => (None, switches, usize::MAX),
            Which::Random { seed, runs } => (Some(Random(seed)), usize::MAX, runs),
        };
        let (mut prefix, mut runs) = (Vec::new(), 0);
        while left > 0 {
            let alive = (0..cpus).map(|_| true).collect();
            let (decisions, waiting_to_begin) = (Vec::new(), cpus);
            let pauses = 0;
            let state = State { running: None, waiting_to_begin, alive, decisions, prefix, switches, random, pauses };
            let turns = Turns { state: Mutex::new(state), changed: Condvar::new() };
            self.run_once(&turns, cpus, &operation);
            let state = turns.state.into_inner().unwrap_or_else(PoisonError::into_inner);

            let said = SaidOnPanic(&state.decisions);
            check();
            drop(said);
            (runs, left, random) = (runs + 1, left - 1, state.random);
            prefix = match (random, next_prefix(&state.decisions)) {
                (Some(_), _) => Vec::new(),
                (None, Some(prefix)) => prefix,
                (None, None) => break,
            };
        }
        runs
    }

    fn run_once(&self, turns: &Turns, cpus: usize, operation: &(impl Fn(Cpu<'_, P, T, FORCE_MAP, E>) + Sync)) {
        /// Lets the others go on, whatever happens.
        struct Done<'a>(&'a Turns, usize);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                TURNS.set(ptr::null());
                self.0.end(self.1);
            }
        }
        let panic = thread::scope(|scope| {
            let threads: Vec<_> = (0..cpus)
                .map(|number| {
                    scope.spawn(move || {
                        let _done = Done(turns, number);
                        turns.begin(number);
                        TURNS.set(turns);
                        operation(self.cpu(number));
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().err()).last()
        });
        if let Some(panic) = panic {
            std::eprintln!("the order of the steps was{}", Order(&turns.lock().decisions));
            std::panic::resume_unwind(panic);
        }
    }
}

/// Prints the order of the steps if there is a panic.
struct SaidOnPanic<'a>(&'a [Decision]);

impl Drop for SaidOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            std::eprintln!("the order of the steps was{}", Order(self.0));
        }
    }
}
