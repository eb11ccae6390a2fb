//! Which thread runs on which CPU.
//!
//! All CPUs share one queue of threads that are ready, so a thread goes on where the next CPU comes free. Each CPU takes the first that may
//! run there; with none, it runs a thread of its own that idles. A thread keeps its CPU until it waits, or until a tick of the CPU's timer
//! finds others ready: then it goes to the end of the queue.
//!
//! A switch may happen in two places besides those where a thread sleeps: at the end of an interrupt that found the CPU in a thread, and
//! where the last reason not to switch ends. It never happens in an interrupt handler or a softirq, with interrupts off, or with
//! preemption off (I2). So all that [`cpu`] counts is 0 at a switch, and needs no place in a thread.
//!
//! The lock is held from the moment one thread is put away until the next one runs: nobody takes a thread whose registers are still
//! in use. Whoever comes out of a switch unlocks what another thread has locked.
//!
//! What a thread has of local maps goes with it: taken off its CPU at a switch and put back when it goes on, which it does there and nowhere
//! else.
//!
//! A switch saves the registers that a function has to preserve, on the thread's stack; an interrupt has saved the others there. There is
//! little else: the targets have no FPU, MMX or SSE registers (soft float), and CR3 changes only where one of the two threads has an address
//! space of its own ([`user`]). A thread without one runs on the kernel's tables, so that no CPU still uses those of a process
//! that has ended.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
use core::ops::{Deref, DerefMut};
use core::ptr;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

use highmem::local::{self, SaveArea};
use spin::mutex::SpinMutex;

use crate::kmap::{ExampleKernel, LOCAL_LEVELS, Task};
use crate::{arch, boot, cpu, irq, lapic, smp, timer, user};

/// How many threads there can be at a time, besides those that idle.
pub const MAX: usize = 16;

/// Those that idle, and the others.
pub(crate) const ALL: usize = cpu::MAX + MAX;

/// Tries to take the lock before that is called a deadlock: seconds of spinning.
const PATIENCE: u32 = 1 << 28;

/// The number of a thread, which is that of its stack, too. The first ones idle, each on the CPU with its number.
pub(crate) type Id = usize;

/// What a thread is to do.
pub(crate) type Body = Box<dyn FnOnce(&mut Task<'_>) + Send>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// There is no such thread.
    Free,
    /// In the queue.
    Ready,
    /// On a CPU.
    Running,
    /// Until somebody wakes it.
    Asleep,
}

struct Thread {
    name: &'static str,
    state: State,
    /// The one CPU that it may run on, if it is bound to one.
    bound: Option<usize>,
    /// Where its registers are, on its stack, while it does not run.
    stack_pointer: usize,
    /// What it is to do; taken when it starts.
    body: Option<Body>,
    /// Whether it wants to sleep, and nobody has woken it since it said so.
    drowsy: bool,
    /// When to wake it.
    alarm: Option<Duration>,
    /// How many threads have had this number before.
    lives: u64,
    /// Who waits for its end.
    joiner: Option<Id>,
    /// What it has of user space.
    user: user::Link,
}

impl Thread {
    const fn new(name: &'static str, state: State) -> Self {
        Self {
            name,
            state,
            bound: None,
            stack_pointer: 0,
            body: None,
            drowsy: false,
            alarm: None,
            lives: 0,
            joiner: None,
            user: user::Link::NONE,
        }
    }

    fn may_run_on(&self, cpu: usize) -> bool {
        self.bound.is_none_or(|bound| bound == cpu)
    }
}

/// Whether a thread that does not run may do so on a CPU, as far as its local maps are concerned.
fn may_leave_for(id: Id, cpu: usize) -> bool {
    local_maps(id).pinned_to().is_none_or(|pinned| pinned == cpu)
}

struct Threads {
    all: [Thread; ALL],
    ready: VecDeque<Id>,
    /// What each CPU runs.
    running: [Id; cpu::MAX],
    /// The CPUs that idle, and that nobody has poked since they do.
    idle: [bool; cpu::MAX],
}

/// How often a CPU went from one thread to another.
pub(crate) static SWITCHES: AtomicU64 = AtomicU64::new(0);

/// What each thread has of local maps.
static LOCAL_MAPS: [SaveArea<LOCAL_LEVELS>; ALL] = [const { SaveArea::new() }; _];

/// Those of a thread.
pub(crate) fn local_maps(id: Id) -> &'static SaveArea<LOCAL_LEVELS> {
    &LOCAL_MAPS[id]
}

static THREADS: SpinMutex<Threads> = SpinMutex::new({
    let mut threads = Threads {
        all: [const { Thread::new("", State::Free) }; ALL],
        ready: VecDeque::new(),
        running: [0; cpu::MAX],
        idle: [false; cpu::MAX],
    };
    let mut number = 0;
    while number < cpu::MAX {
        threads.all[number].name = "idle";
        threads.all[number].state = State::Running;
        threads.running[number] = number;
        number += 1;
    }
    threads
});

/// The lock on [`THREADS`], held with interrupts off, by a CPU and not by a thread: it goes through a switch.
struct Locked(());

fn lock() -> Locked {
    irq::save();
    let guard = (0..PATIENCE).find_map(|_| {
        THREADS.try_lock().or_else(|| {
            core::hint::spin_loop();
            None
        })
    });
    mem::forget(guard.expect("deadlock on the scheduler's lock"));
    Locked(())
}

impl Deref for Locked {
    type Target = Threads;

    fn deref(&self) -> &Threads {
        // SAFETY: this CPU holds the lock, and nothing but this value leads to what is behind it.
        unsafe { &*THREADS.as_mut_ptr() }
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut Threads {
        // SAFETY: as in `deref`.
        unsafe { &mut *THREADS.as_mut_ptr() }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: this CPU holds the lock.
        unsafe { THREADS.force_unlock() };
        irq::restore();
    }
}

impl Threads {
    /// The thread that runs on this CPU.
    fn current(&mut self) -> &mut Thread {
        let id = self.running[cpu::number()];
        &mut self.all[id]
    }

    /// Where in the queue the next thread for a CPU is.
    fn next_for(&self, cpu: usize) -> Option<usize> {
        self.ready.iter().position(|&id| self.may_run_on(id, cpu))
    }

    /// Whether a thread that does not run may do so on a CPU.
    fn may_run_on(&self, id: Id, cpu: usize) -> bool {
        self.all[id].may_run_on(cpu) && may_leave_for(id, cpu)
    }

    fn make_ready(&mut self, id: Id) {
        self.all[id].state = State::Ready;
        self.ready.push_back(id);
    }

    fn wake(&mut self, id: Id) {
        let thread = &mut self.all[id];
        thread.drowsy = false;
        thread.alarm = None;
        if thread.state == State::Asleep {
            self.make_ready(id);
            self.poke_for(id);
        }
    }

    /// Has a CPU that idles look for work, if one does that may run the thread.
    fn poke_for(&mut self, id: Id) {
        let here = cpu::number();
        let may_take_it = |&cpu: &usize| self.idle[cpu] && self.may_run_on(id, cpu);
        let Some(cpu) = core::iter::once(here).chain(0..smp::count()).find(may_take_it) else { return };
        self.idle[cpu] = false;
        if cpu == here {
            cpu::set_due(true);
        } else {
            lapic::interrupt(cpu as u8, lapic::POKE_VECTOR);
        }
    }
}

/// Makes room for all threads in the queue.
pub(crate) fn init() {
    lock().ready.reserve(ALL);
}

/// Starts a thread, and says which one: its number, and how many threads have had this number before.
///
/// # Panics
///
/// If there are [`MAX`] already, or there is no such CPU.
pub(crate) fn spawn(name: &'static str, bound: Option<usize>, body: Body) -> (Id, u64) {
    try_spawn(name, bound, body).unwrap_or_else(|| {
        let names: Vec<_> = lock().all[cpu::MAX..].iter().map(|thread| thread.name).collect();
        panic!("no thread is left for {name}, all {MAX} are in use: {names:?}")
    })
}

/// As [`spawn`], but for the panic if there are [`MAX`] threads: then it is `None`.
///
/// # Panics
///
/// If there is no such CPU.
pub(crate) fn try_spawn(name: &'static str, bound: Option<usize>, body: Body) -> Option<(Id, u64)> {
    assert!(bound.is_none_or(|cpu| cpu < smp::count()), "no CPU {bound:?} for thread {name}");
    let mut threads = lock();
    let id = (cpu::MAX..ALL).find(|&id| threads.all[id].state == State::Free)?;
    // SAFETY: nobody uses the stack of a thread that there is not.
    let stack_pointer = unsafe { first_frame(boot::stack_top(id)) };
    let lives = threads.all[id].lives;
    // SAFETY: there is no such thread, and the one before it does not run.
    unsafe { local_maps(id).reset() };
    threads.all[id] = Thread { bound, stack_pointer, body: Some(body), lives, ..Thread::new(name, State::Ready) };
    threads.make_ready(id);
    threads.poke_for(id);
    Some((id, lives))
}

/// Puts on an empty stack what the switch to a thread takes off: registers, and [`start`] to return to.
///
/// # Safety
///
/// The stack that ends at `top` is nobody's.
unsafe fn first_frame(top: usize) -> usize {
    // Above the address of `start` is the place of its own return address, so that the stack is aligned as after a call.
    const WORDS: usize = arch::SAVED_REGISTERS + 2;
    let stack: *mut usize = ptr::with_exposed_provenance_mut(top);
    // SAFETY: by this function's contract.
    unsafe {
        let frame = stack.sub(WORDS);
        frame.write_bytes(0, WORDS);
        frame.add(arch::SAVED_REGISTERS).write(start as *const () as usize);
        frame.expose_provenance()
    }
}

/// Where each thread begins: right after the switch to it, and so with the lock, and with interrupts off.
extern "C" fn start() -> ! {
    let mut threads = Locked(());
    cpu::this().irqs_were_on.store(true, Relaxed);
    let body = threads.current().body.take().expect("a thread starts once");
    drop(threads);
    // SAFETY: I1: a thread starts; interrupts and preemption are on, and nothing is being served.
    unsafe { Task::enter(|task| body(task)) };

    let mut threads = lock();
    let thread = threads.current();
    thread.state = State::Free;
    thread.lives += 1;
    if let Some(joiner) = thread.joiner.take() {
        threads.wake(joiner);
    }
    let _never = switch(threads);
    unreachable!("a thread that has ended runs");
}

/// Goes on with the next thread, which is this one if no other is ready. Comes back when it is this one's turn again, on whatever CPU.
fn switch(mut threads: Locked) -> Locked {
    let number = cpu::number();
    let current = threads.running[number];
    let next = threads.next_for(number).and_then(|at| threads.ready.remove(at)).unwrap_or(number);
    threads.all[next].state = State::Running;
    threads.running[number] = next;
    threads.idle[number] = next == number;
    cpu::set_due(false);
    if next == current {
        return threads;
    }
    let cpu = cpu::this();
    assert_eq!(cpu.irqs_off.load(Relaxed), 1, "a switch while somebody wants interrupts off");
    assert!(
        cpu::preempt_count() == 0 && cpu::softirqs_off() == 0 && !irq::in_interrupt(),
        "a switch while thread {} has to stay",
        threads.all[current].name
    );
    let were_on = cpu.irqs_were_on.load(Relaxed);
    let to = threads.all[next].stack_pointer;
    // SAFETY: the thread that goes on has what this leads to, or has said that it has none; interrupts are off.
    unsafe { user::load(threads.all[next].user) };
    let from = &raw mut threads.all[current].stack_pointer;
    // SAFETY: I3: this CPU goes from the one thread to the other, with interrupts off.
    unsafe { local::switch_out::<ExampleKernel>(local_maps(current)) };
    cpu.set_local_maps(next);
    SWITCHES.fetch_add(1, Relaxed);
    mem::forget(threads); // the thread that goes on has the lock now
    // SAFETY: `to` is what an earlier switch, or `first_frame`, has left of a thread that runs nowhere, and the lock keeps others from it.
    // I2: the thread that goes is not one that has to stay, by the assertions.
    unsafe { arch::switch_stacks(from, to) };
    // SAFETY: as above; this thread goes on, on whatever CPU, which `next_for` has found to be the right one.
    unsafe { local::switch_in::<ExampleKernel>(local_maps(current)) };
    // This may be another CPU.
    cpu::this().irqs_were_on.store(were_on, Relaxed);
    Locked(())
}

/// Has this thread have an address space, or none, from now on, on whatever CPU.
///
/// # Safety
///
/// What `link` leads to stays until the thread has another.
pub(crate) unsafe fn set_user(link: user::Link) {
    let mut threads = lock();
    threads.current().user = link;
    // SAFETY: by this function's contract; interrupts are off.
    unsafe { user::load(link) };
}

/// Lets other threads run that are ready, if there are any. Called by a thread that need not stay, or with interrupts off at the end of
/// an interrupt.
pub(crate) fn reschedule() {
    let mut threads = lock();
    let number = cpu::number();
    let current = threads.running[number];
    if threads.next_for(number).is_none() {
        threads.idle[number] = current == number;
        cpu::set_due(false);
        return;
    }
    if current != number {
        threads.make_ready(current);
    }
    drop(switch(threads));
}

/// Switches to another thread at the end of an interrupt, if one is due; called with interrupts off.
pub(crate) fn interrupt_ends() {
    if cpu::is_due() && !irq::in_interrupt() && cpu::softirqs_off() == 0 {
        reschedule();
    }
}

/// Switches to another thread, one being due, where preemption comes on; unless there is another reason not to.
#[cold]
#[inline(never)]
pub(crate) fn preemption_comes_on() {
    if irq::enabled() && !irq::in_interrupt() && cpu::softirqs_off() == 0 {
        reschedule();
    }
}

/// What a tick of this CPU's timer means to threads.
pub(crate) fn tick() {
    let mut threads = lock();
    let now = timer::uptime();
    for id in cpu::MAX..ALL {
        if threads.all[id].alarm.is_some_and(|alarm| alarm <= now) {
            threads.wake(id);
        }
    }
    if threads.next_for(cpu::number()).is_some() {
        cpu::set_due(true);
    }
}

/// Idles on this CPU, for ever. Interrupts take the CPU away when there is something to do.
pub(crate) fn idle() -> ! {
    loop {
        irq::disable();
        reschedule();
        lapic::wait_for_interrupt();
    }
}

/// # Panics
///
/// If the code that runs is not a thread that may sleep. Its `Task` says that it is; a context that was forgotten may have left
/// preemption off.
#[track_caller]
pub(crate) fn assert_may_sleep() {
    let counts = counts();
    assert!(irq::enabled() && counts == (0, 0, 0), "sleeps with preemption, softirqs or interrupts off: {counts:?}");
}

/// The reasons not to sleep: preemption off, softirqs off, interrupt handlers.
fn counts() -> (u32, u32, u32) {
    (cpu::preempt_count(), cpu::softirqs_off(), irq::depth())
}

/// Whether there is no reason not to sleep but that interrupts are off, as they are for the handler of a fault.
pub(crate) fn may_sleep_with_irqs_on() -> bool {
    counts() == (0, 0, 0)
}

/// Notes that this thread wants to sleep, from which moment on a [`wake`] counts, and gives its number.
pub(crate) fn get_drowsy() -> Id {
    let mut threads = lock();
    threads.current().drowsy = true;
    threads.running[cpu::number()]
}

/// Sleeps, unless somebody has woken this thread since [`get_drowsy`]; to `alarm` at the most, if there is one.
#[track_caller]
pub(crate) fn sleep(alarm: Option<Duration>) {
    assert_may_sleep();
    let mut threads = lock();
    if threads.current().drowsy {
        threads.current().alarm = alarm;
        threads.current().state = State::Asleep;
        drop(switch(threads));
    }
}

/// Wakes a thread, if it sleeps or is about to. Whatever it waits for, it looks whether that is so, and sleeps on if not.
pub(crate) fn wake(id: Id) {
    lock().wake(id);
}

/// Lets others run.
#[track_caller]
pub(crate) fn yield_now() {
    assert_may_sleep();
    reschedule();
}

/// Sleeps until the timer says so.
#[track_caller]
pub(crate) fn sleep_until(alarm: Duration) {
    assert_may_sleep();
    while timer::uptime() < alarm {
        let mut threads = lock();
        let thread = threads.current();
        thread.alarm = Some(alarm);
        thread.state = State::Asleep;
        drop(switch(threads));
    }
}

/// Whether the thread that [`spawn`] called so has ended.
pub(crate) fn has_ended((id, lives): (Id, u64)) -> bool {
    lock().all[id].lives != lives
}

/// Sleeps until the thread that [`spawn`] called so has ended, and its stack is free.
#[track_caller]
pub(crate) fn join((id, lives): (Id, u64)) {
    assert_may_sleep();
    loop {
        let mut threads = lock();
        if threads.all[id].lives != lives {
            return;
        }
        threads.all[id].joiner = Some(threads.running[cpu::number()]);
        threads.current().state = State::Asleep;
        drop(switch(threads));
    }
}

/// The name of the thread that runs on this CPU; `None` if somebody has the lock.
pub(crate) fn try_name() -> Option<&'static str> {
    irq::with_disabled(|| {
        let threads = THREADS.try_lock()?;
        Some(threads.all[threads.running[cpu::number()]].name)
    })
}

/// The stack of the thread that runs.
pub(crate) fn stack_top() -> usize {
    boot::stack_top(lock().running[cpu::number()])
}
