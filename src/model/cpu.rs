//! A CPU is a thread of the host, for as long as it runs a context: its accounts, and what interrupts it.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::mem;
use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::{AcqRel, Acquire};
use std::boxed::Box;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::hardware::{Counts, tell};
use super::machine::{Inner, Machine};
use super::{ModelKernel, PoolSize, interleave, mmu};
use crate::debug::{Serving, State};
use crate::kernel::{GaveUp, LocalKernel};
use crate::local::{self, SaveArea};
use crate::paging::Paging;
use crate::slot::KmTypes;
use crate::{HardIrq, Nmi, Softirq, Task};
use typenum::{U4, Unsigned};

/// What interrupts a CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Maskable,
    /// Another CPU wants something; maskable.
    OfAnotherCpu,
    NonMaskable,
    BottomHalf,
    /// Another thread is due.
    Switch,
}

/// Something that is to interrupt a CPU, as soon as that can be.
pub(super) struct Pending {
    kind: Kind,
    run: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

/// A handler that is to run at a step, and no later than the operation that it interrupts.
#[derive(Clone, Copy)]
pub(super) struct Injection {
    pub(super) kind: Kind,
    /// The step before which it is raised; `None`: it is raised, and waits.
    pub(super) at: Option<usize>,
    pub(super) run: *mut dyn FnMut(),
}

/// What a thread knows of the CPU that it is.
struct Here {
    cpu: Cell<Option<usize>>,
    inner: Cell<*const Inner>,
    preemption_off: Cell<usize>,
    softirqs_off: Cell<usize>,
    interrupts_on: Cell<bool>,
    serving: Cell<Serving>,
    counts: Cell<Counts>,
    steps: Cell<usize>,
    injection: Cell<Option<Injection>>,
    /// What the thread that runs has of local maps.
    area: Cell<*const Area>,
}

/// What a thread has of local maps.
pub(super) type Area = SaveArea<{ super::kernel::TaskLevels::USIZE }>;

std::thread_local! {
    // Constant and without a destructor: the signal handler reads it.
    static HERE: Here = const {
        Here {
            cpu: Cell::new(None),
            inner: Cell::new(ptr::null()),
            preemption_off: Cell::new(0),
            softirqs_off: Cell::new(0),
            interrupts_on: Cell::new(true),
            serving: Cell::new(Serving::Thread),
            counts: Cell::new(Counts::NONE),
            steps: Cell::new(0),
            injection: Cell::new(None),
            area: Cell::new(ptr::null()),
        }
    };
}

/// The CPU that this thread is.
pub(super) fn current() -> Option<usize> {
    HERE.with(|here| here.cpu.get())
}

/// The CPU that this thread is, which it has to be.
pub(super) fn number() -> usize {
    current().expect("this thread is no CPU: contexts are entered by `machine.cpu(n).task(..)` and the like")
}

/// A step: what the crate asks of processor or kernel. Whatever is to happen before it happens here. Returns the CPU.
pub(super) fn step(what: impl FnOnce(&mut Counts)) -> usize {
    step_after(interleave::turn, what)
}

/// A step that does nothing, for somebody who has to wait for others: they go on first.
pub(super) fn pause() {
    step_after(interleave::pause, |_| ());
}

/// How many steps this thread has done.
pub(super) fn steps() -> usize {
    HERE.with(|here| here.steps.get())
}

fn step_after(turn: impl FnOnce(), what: impl FnOnce(&mut Counts)) -> usize {
    HERE.with(|here| {
        let Some(cpu) = here.cpu.get() else { return usize::MAX };
        turn();
        if let Some(injection) = here.injection.get()
            && injection.at == Some(here.steps.get())
        {
            here.injection.set(Some(Injection { at: None, ..injection }));
        }
        here.deliver();
        here.steps.set(here.steps.get() + 1);
        let mut counts = here.counts.get();
        what(&mut counts);
        here.counts.set(counts);
        cpu
    })
}

pub(super) fn preempt_disable() {
    step(|_| ());
    HERE.with(|here| here.preemption_off.set(here.preemption_off.get() + 1));
}

pub(super) fn preempt_enable() {
    step(|_| ());
    HERE.with(|here| {
        let count = here.preemption_off.get();
        here.preemption_off.set(count.checked_sub(1).expect("preemption is turned on once too often"));
    });
}

pub(super) fn bh_disable() {
    step(|_| ());
    HERE.with(|here| here.softirqs_off.set(here.softirqs_off.get() + 1));
}

pub(super) fn bh_enable() {
    step(|_| ());
    HERE.with(|here| {
        let count = here.softirqs_off.get();
        here.softirqs_off.set(count.checked_sub(1).expect("softirqs are turned on once too often"));
        here.deliver();
    });
}

pub(super) fn irq_save() -> bool {
    step(|_| ());
    HERE.with(|here| here.interrupts_on.replace(false))
}

pub(super) fn irq_restore(were_on: bool) {
    step(|_| ());
    HERE.with(|here| {
        here.interrupts_on.set(were_on);
        here.deliver();
    });
}

/// The machine that this thread is a CPU of.
pub(super) fn machine<'a>() -> &'a Inner {
    // SAFETY: `Occupied` set it to the machine that it borrows, and resets it; callers use it while they are that CPU.
    let inner = HERE.with(|here| unsafe { here.inner.get().as_ref() });
    inner.expect("this thread is no CPU: contexts are entered by `machine.cpu(n).task(..)` and the like")
}

/// Panics where nobody may sleep.
pub(super) fn assert_may_sleep(what: &str) {
    let state = state();
    let may_sleep =
        state.serving == Serving::Thread && !(state.preemption_off || state.softirqs_off || state.interrupts_off);
    assert!(may_sleep, "CPU {} {what}, and is {state}: it must not sleep", number());
}

/// The area of the thread that runs.
pub(super) fn area() -> NonNull<Area> {
    let area = HERE.with(|here| here.area.get());
    NonNull::new(area.cast_mut()).expect("this thread is no CPU: it has no local maps")
}

/// Preempts the thread that runs, for one that runs `body`.
fn switch<K: LocalKernel<SaveArea = Area>, R>(body: impl FnOnce(&mut Task<'_, K>) -> R) -> R {
    /// Switches back, whatever happens.
    struct Back<'a, K: LocalKernel<SaveArea = Area>>(&'a Here, NonNull<Area>, PhantomData<K>);
    impl<K: LocalKernel<SaveArea = Area>> Drop for Back<'_, K> {
        fn drop(&mut self) {
            change::<K>(self.0, self.1);
        }
    }
    fn change<K: LocalKernel<SaveArea = Area>>(here: &Here, to: NonNull<Area>) {
        here.preemption_off.set(here.preemption_off.get() + 1);
        // SAFETY: this CPU changes from the one thread to the other, with preemption off; both areas are on the stack below.
        unsafe { local::switch_out::<K>(area().as_ref()) };
        here.area.set(to.as_ptr());
        // SAFETY: as above.
        unsafe { local::switch_in::<K>(to.as_ref()) };
        here.preemption_off.set(here.preemption_off.get() - 1);
    }
    HERE.with(|here| {
        let (own, preempted) = (Area::new(), area());
        change::<K>(here, NonNull::from(&own));
        let back = Back::<K>(here, preempted, PhantomData);
        here.deliver();
        // SAFETY: I1: a thread of its own, that begins and ends here. Preemption and interrupts are on: `allows` looked.
        let result = unsafe { Task::enter(body) };
        here.deliver();
        drop(back);
        result
    })
}

/// How long somebody sleeps before something must be wrong, in seconds.
const PATIENCE: u64 = 20;

/// Sleeps until `until` says yes, or there is a signal. Asks when it begins, and whenever somebody has woken those who wait.
pub(super) fn wait(until: &(dyn Fn() -> bool + Sync)) -> Result<(), GaveUp> {
    let (machine, cpu, began) = (machine(), number(), Instant::now());
    loop {
        let wakes = machine.count_of_wakes();
        if machine.take_signal(cpu) {
            return Err(GaveUp);
        }
        if until() {
            return Ok(());
        }
        while machine.count_of_wakes() == wakes {
            if interleave::is_alone() {
                machine.doze(wakes);
            }
            interleave::sleep(until);
            step_after(|| (), |_| ());
            if began.elapsed().as_secs() > PATIENCE {
                let lost = if until() { ", and what it waits for has come: a wake was lost" } else { "" };
                panic!("CPU {cpu} sleeps, and nobody wakes it{lost}");
            }
        }
    }
}

/// Wakes those who wait.
pub(super) fn wake() {
    step(|_| ());
    machine().wake();
}

/// Has each other CPU run `work` in an interrupt, and waits for that. What no thread is, this one is for the time.
pub(super) fn on_other_cpus(work: &(dyn Fn() + Sync)) {
    /// Waits for those who have begun, whatever happens: `work` is borrowed.
    struct Wait<'a>(&'a Inner, Arc<AtomicUsize>);
    impl Drop for Wait<'_> {
        fn drop(&mut self) {
            for cpu in 0..self.0.cpus() {
                let never_began = self.0.take_away(cpu, |pending| pending.kind == Kind::OfAnotherCpu);
                self.1.fetch_sub(never_began, AcqRel);
            }
            while self.1.load(Acquire) > 0 {
                thread::yield_now();
            }
        }
    }
    /// Counts down, whatever happens.
    struct Done(Arc<AtomicUsize>);
    impl Drop for Done {
        fn drop(&mut self) {
            self.0.fetch_sub(1, AcqRel);
        }
    }

    let (machine, this) = (machine(), number());
    let left = Arc::new(AtomicUsize::new(machine.cpus() - 1));
    let wait = Wait(machine, left.clone());
    // SAFETY: only the lifetime changes; `Wait` sees to it that nobody runs it when this function ends.
    let work = unsafe { mem::transmute::<&(dyn Fn() + Sync), &'static (dyn Fn() + Sync)>(work) };
    let others = || (0..machine.cpus()).filter(|&cpu| cpu != this);
    for other in others() {
        let done = Done(left.clone());
        let run = move || {
            let _done = done;
            work();
        };
        machine.pend(other, Pending { kind: Kind::OfAnotherCpu, run: Box::new(run) });
    }
    while left.load(Acquire) > 0 {
        others().for_each(|other| visit(machine, other));
        pause();
    }
    drop(wait);
}

/// Serves on CPU `cpu` what other CPUs want, if no thread is that CPU.
fn visit(machine: &Inner, cpu: usize) {
    /// Is the CPU again that it was.
    struct Back<'a>(&'a Inner, usize, usize);
    impl Drop for Back<'_> {
        fn drop(&mut self) {
            HERE.with(|here| here.cpu.set(Some(self.2)));
            self.0.vacate(self.1);
        }
    }
    if !machine.try_visit(cpu) {
        return;
    }
    HERE.with(|here| {
        let _back = Back(machine, cpu, number());
        here.cpu.set(Some(cpu));
        let injection = here.injection.take();
        interleave::alone(|| {
            while let Some(pending) = machine.next_pending(cpu, |pending| pending.kind == Kind::OfAnotherCpu) {
                here.serve(pending.kind, pending.run);
            }
        });
        here.injection.set(injection);
    });
}

/// The CPU's own accounts.
pub(super) fn state() -> State {
    HERE.with(|here| {
        let serving = here.serving.get();
        State {
            serving,
            preemption_off: here.preemption_off.get() > 0 || serving != Serving::Thread,
            softirqs_off: here.softirqs_off.get() > 0 || serving != Serving::Thread,
            interrupts_off: !here.interrupts_on.get(),
        }
    })
}

impl Here {
    /// Whether the CPU would be interrupted now.
    fn allows(&self, kind: Kind) -> bool {
        let serving = self.serving.get();
        match kind {
            Kind::Maskable | Kind::OfAnotherCpu => self.interrupts_on.get() && serving != Serving::NmiHandler,
            Kind::NonMaskable => serving != Serving::NmiHandler,
            Kind::BottomHalf => serving == Serving::Thread && self.softirqs_off.get() == 0 && self.interrupts_on.get(),
            Kind::Switch => self.allows(Kind::BottomHalf) && self.preemption_off.get() == 0,
        }
    }

    /// Serves all that is pending and may be served now. Not while the thread unwinds: what it would interrupt is over.
    fn deliver(&self) {
        while !thread::panicking() {
            if let Some(Injection { kind, at: None, run }) = self.injection.get()
                && self.allows(kind)
            {
                self.injection.set(None);
                // SAFETY: whoever set the injection lends the handler until it takes the injection away.
                self.serve(kind, || unsafe { (*run)() });
                continue;
            }
            // SAFETY: `Occupied` set it to the machine that it borrows, and resets it.
            let Some(inner) = (unsafe { self.inner.get().as_ref() }) else { return };
            let Some(cpu) = self.cpu.get() else { return };
            let Some(Pending { kind, run }) = inner.next_pending(cpu, |pending| self.allows(pending.kind)) else {
                return;
            };
            self.serve(kind, run);
        }
    }

    /// Runs a handler as the processor does.
    fn serve<R>(&self, kind: Kind, handler: impl FnOnce() -> R) -> R {
        /// Goes back to what was interrupted.
        struct Return<'a>(&'a Here, Serving, bool);
        impl Drop for Return<'_> {
            fn drop(&mut self) {
                self.0.serving.set(self.1);
                self.0.interrupts_on.set(self.2);
            }
        }
        let (serving, interrupts_on) = match kind {
            Kind::Maskable | Kind::OfAnotherCpu => (Serving::InterruptHandler, false),
            Kind::NonMaskable => (Serving::NmiHandler, false),
            Kind::BottomHalf => (Serving::SoftirqHandler, self.interrupts_on.get()),
            Kind::Switch => (Serving::Thread, self.interrupts_on.get()),
        };
        let back = Return(self, self.serving.replace(serving), self.interrupts_on.replace(interrupts_on));
        let result = handler();
        drop(back);
        result
    }
}

/// A thread that is a CPU.
struct Occupied<'m> {
    inner: &'m Inner,
    cpu: usize,
    _area: Box<Area>,
}

impl<'m> Occupied<'m> {
    /// Makes this thread a CPU, if nobody else is.
    fn try_begin(inner: &'m Inner, cpu: usize) -> Option<Self> {
        HERE.with(|here| {
            if here.cpu.get().is_some() || !inner.try_occupy(cpu) {
                return None;
            }
            here.cpu.set(Some(cpu));
            here.inner.set(inner);
            here.preemption_off.set(0);
            here.softirqs_off.set(0);
            here.interrupts_on.set(true);
            here.serving.set(Serving::Thread);
            let area = Box::new(Area::new());
            here.area.set(&raw const *area);
            Some(Self { inner, cpu, _area: area })
        })
    }

    /// Everything that a context turned off is on again, all slots are flushed, and nothing went wrong.
    fn check(&self) {
        mmu::with(|mmu| mmu.check_slots(self.cpu));
        tell();
        HERE.with(|here| {
            let left = [
                (here.preemption_off.get() > 0, "preemption"),
                (here.softirqs_off.get() > 0, "softirqs"),
                (!here.interrupts_on.get(), "interrupts"),
            ];
            if let Some((_, what)) = left.into_iter().find(|&(is_left, _)| is_left) {
                panic!("CPU {} is done with {what} off: a context was forgotten", self.cpu);
            }
        });
    }
}

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        HERE.with(|here| {
            here.cpu.set(None);
            here.inner.set(ptr::null());
            here.injection.set(None);
            here.area.set(ptr::null());
        });
        self.inner.vacate(self.cpu);
    }
}

/// A CPU of a [`Machine`]: enters contexts, and interrupts them.
///
/// The thread that calls [`task`](Self::task) is the CPU until that returns; another thread can be another CPU at the same time
/// (`std::thread::scope`).
pub struct Cpu<'m, P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize = U4> {
    machine: &'m Machine<P, T, FORCE_MAP, E>,
    number: usize,
}

impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> Clone for Cpu<'_, P, T, FORCE_MAP, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> Copy for Cpu<'_, P, T, FORCE_MAP, E> {}

impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> fmt::Debug for Cpu<'_, P, T, FORCE_MAP, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cpu({})", self.number)
    }
}

impl<'m, P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> Cpu<'m, P, T, FORCE_MAP, E> {
    pub(super) fn new(machine: &'m Machine<P, T, FORCE_MAP, E>, number: usize) -> Self {
        Self { machine, number }
    }

    /// Its number.
    pub fn number(self) -> usize {
        self.number
    }

    /// Runs `f` as a thread of the kernel, on this CPU. What is pending is served first.
    ///
    /// # Panics
    /// If a thread, this one or another, is this CPU already, or this thread another CPU. When something went wrong: a
    /// [`Fault`](super::Fault), a context that was forgotten, a translation that was not flushed.
    pub fn task<R>(self, f: impl FnOnce(&mut Task<'_, ModelKernel<P, T, FORCE_MAP, E>>) -> R) -> R {
        self.run(|| {
            HERE.with(Here::deliver);
            // SAFETY: I1: this thread became the CPU just now, and no other is it, so no other task of it exists. Preemption and
            // interrupts are on. Its bytes may be seen by other threads of the host in scopes within `f`: the addresses are those
            // of the process, and good as long as the borrow.
            unsafe { Task::enter(f) }
        })
    }

    /// Interrupts the CPU now, and returns what the handler returns.
    ///
    /// # Panics
    /// If interrupts are off, and as [`task`](Self::task).
    pub fn interrupt_now<R>(self, handler: impl FnOnce(&mut HardIrq<'_, ModelKernel<P, T, FORCE_MAP, E>>) -> R) -> R {
        // SAFETY: I1: `serve` turned interrupts off, and they were on.
        self.serve_now(Kind::Maskable, || unsafe { HardIrq::enter(handler) })
    }

    /// Has the CPU serve a non-maskable interrupt now, and returns what the handler returns.
    ///
    /// # Panics
    /// If it is serving one, and as [`task`](Self::task).
    pub fn nmi_now<R>(self, handler: impl FnOnce(&mut Nmi<'_, ModelKernel<P, T, FORCE_MAP, E>>) -> R) -> R {
        // SAFETY: I1: `allows` looked that no other is served.
        self.serve_now(Kind::NonMaskable, || unsafe { Nmi::enter(handler) })
    }

    /// Has the CPU serve a softirq now, and returns what the handler returns.
    ///
    /// # Panics
    /// If softirqs or interrupts are off, and as [`task`](Self::task).
    pub fn softirq_now<R>(self, handler: impl FnOnce(&mut Softirq<'_, ModelKernel<P, T, FORCE_MAP, E>>) -> R) -> R {
        // SAFETY: I1: `allows` looked that softirqs are not off, and no other is served.
        self.serve_now(Kind::BottomHalf, || unsafe { Softirq::enter(handler) })
    }

    /// Preempts the thread that is the CPU, for another one that runs `f`, and then goes on with it; returns what `f` returns. Local maps
    /// are saved and restored.
    ///
    /// # Panics
    /// If preemption, softirqs or interrupts are off, or something else than a thread runs, and as [`task`](Self::task).
    pub fn switch_now<R>(self, f: impl FnOnce(&mut Task<'_, ModelKernel<P, T, FORCE_MAP, E>>) -> R) -> R {
        self.serve_now(Kind::Switch, || switch(f))
    }

    /// Interrupts the CPU: now, or as soon as interrupts are on there. If another thread is the CPU, that is at its next step; if none
    /// is, this thread is it for the time, or if it cannot, the next that is.
    pub fn interrupt(self, handler: impl FnOnce(&mut HardIrq<'_, ModelKernel<P, T, FORCE_MAP, E>>) + Send + 'static) {
        // SAFETY: I1: `serve` turned interrupts off, and they were on.
        self.pend(Kind::Maskable, Box::new(move || unsafe { HardIrq::enter(handler) }));
    }

    /// As [`interrupt`](Self::interrupt), and no context keeps it out but that of another one.
    pub fn nmi(self, handler: impl FnOnce(&mut Nmi<'_, ModelKernel<P, T, FORCE_MAP, E>>) + Send + 'static) {
        // SAFETY: I1: `allows` looked that no other is served.
        self.pend(Kind::NonMaskable, Box::new(move || unsafe { Nmi::enter(handler) }));
    }

    /// Raises a softirq: it is served now, or when the last handler returns, or as soon as softirqs and interrupts are on.
    pub fn softirq(self, handler: impl FnOnce(&mut Softirq<'_, ModelKernel<P, T, FORCE_MAP, E>>) + Send + 'static) {
        // SAFETY: I1: `allows` looked that softirqs are not off, and no other is served.
        self.pend(Kind::BottomHalf, Box::new(move || unsafe { Softirq::enter(handler) }));
    }

    /// A signal for the thread on this CPU: it gives up the wait for an entry of the pool that it is in, or else the next one. `kmap`
    /// returns [`Refusal::GaveUp`](crate::pool::Refusal::GaveUp).
    pub fn signal(self) {
        self.machine.inner().signal(self.number);
    }

    /// What `f` asks of the processor, on this thread, handlers included.
    ///
    /// ```
    /// use highmem::kmap_atomic;
    /// use highmem::model::{Counts, Machine, Zone};
    ///
    /// let machine = Machine::new();
    /// let page = machine.alloc(Zone::High);
    /// machine.cpu(0).task(|task| {
    ///     let mut atomic = task.atomic();
    ///     let slots = atomic.slots();
    ///     let (guard, counts) = machine.cpu(0).count(|| kmap_atomic(slots.user0, &page));
    ///     assert_eq!(counts, Counts { loads: 1, stores: 2, invlpg: 0, flush_all: 0, barriers: 1 }); // two stores: PAE
    ///     let ((), counts) = machine.cpu(0).count(|| drop(guard));
    ///     assert_eq!((counts.stores, counts.invlpg), (2, 1)); // no loads, but for the feature `debug`
    /// });
    /// ```
    pub fn count<R>(self, f: impl FnOnce() -> R) -> (R, Counts) {
        let before = HERE.with(|here| here.counts.get());
        let result = f();
        (result, HERE.with(|here| here.counts.get()) - before)
    }

    /// Stores to CR3: the CPU changes to the address space `pcid`, and forgets what it has cached of that, unless `keep` (bit 63 of
    /// the value, where CR4.PCIDE is set). Global translations stay. Without PCIDs: `load_cr3(0, false)`.
    pub fn load_cr3(self, pcid: u16, keep: bool) {
        mmu::with(|mmu| mmu.flush(self.number, |tlb| tlb.load_cr3(pcid, keep)));
    }

    /// Forgets all translations of this CPU, global ones and those of all address spaces: `invpcid`, type 2.
    pub fn flush_all(self) {
        mmu::with(|mmu| mmu.flush(self.number, super::tlb::Tlb::forget_all));
    }

    /// Forgets the page at `address` in the address space `pcid`: `invpcid`, type 0. Global translations stay.
    pub fn invpcid(self, address: usize, pcid: u16) {
        if let Some(page) = super::layout::page(address) {
            mmu::with(|mmu| mmu.flush(self.number, |tlb| tlb.forget_in(page, pcid)));
        }
    }

    /// Runs `f` with this thread as the CPU.
    fn run<R>(self, f: impl FnOnce() -> R) -> R {
        if let Some(other) = current() {
            panic!("this thread is CPU {other}: it cannot begin anew as CPU {}", self.number);
        }
        let Some(occupied) = Occupied::try_begin(self.machine.inner(), self.number) else {
            panic!("CPU {} is another thread", self.number)
        };
        let result = f();
        HERE.with(Here::deliver);
        occupied.check();
        result
    }

    fn serve_now<R>(self, kind: Kind, handler: impl FnOnce() -> R) -> R {
        let serve = || {
            HERE.with(|here| {
                assert!(here.allows(kind), "CPU {} is {}: this waits until it can be served", self.number, state());
                let result = here.serve(kind, handler);
                here.deliver();
                result
            })
        };
        if current() == Some(self.number) { serve() } else { self.run(serve) }
    }

    fn pend(self, kind: Kind, run: Box<dyn FnOnce() + Send>) {
        self.machine.inner().pend(self.number, Pending { kind, run });
        if current() == Some(self.number) {
            HERE.with(Here::deliver);
        } else if let Some(occupied) = Occupied::try_begin(self.machine.inner(), self.number) {
            HERE.with(Here::deliver);
            occupied.check();
        }
    }

    /// Runs `operation` again and again, and interrupts it at each step in turn: before each load, store, flush and barrier, before
    /// each time that preemption, softirqs or interrupts go off or on, and at its end. Where interrupts are off, the interrupt comes as
    /// soon as they are on. Returns how many steps the operation has.
    ///
    /// ```
    /// use highmem::kmap_atomic;
    /// use highmem::model::{Machine, Zone};
    ///
    /// let machine = Machine::new();
    /// let (mut page, mut other) = (machine.alloc(Zone::High), machine.alloc(Zone::High));
    /// machine.cpu(0).task(|task| {
    ///     machine.cpu(0).interrupt_everywhere(
    ///         |irq| kmap_atomic(irq.slots().irq0, &mut other).fill(2),
    ///         || {
    ///             let mut atomic = task.atomic();
    ///             let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
    ///             mapped.fill(1);
    ///             assert!(mapped.iter().all(|&byte| byte == 1));
    ///         },
    ///     );
    /// });
    /// ```
    ///
    /// # Panics
    /// Unless this thread is the CPU. If the handler could not be served by the end of the operation. What panics in the operation or
    /// in the handler panics on; before that, the step is printed.
    pub fn interrupt_everywhere(
        self,
        mut handler: impl FnMut(&mut HardIrq<'_, ModelKernel<P, T, FORCE_MAP, E>>),
        operation: impl FnMut(),
    ) -> usize {
        // SAFETY: I1: `serve` turned interrupts off, and they were on.
        self.everywhere(Kind::Maskable, &mut || unsafe { HardIrq::enter(&mut handler) }, operation)
    }

    /// As [`interrupt_everywhere`](Self::interrupt_everywhere), with a non-maskable interrupt: that comes even where interrupts are off.
    pub fn nmi_everywhere(
        self,
        mut handler: impl FnMut(&mut Nmi<'_, ModelKernel<P, T, FORCE_MAP, E>>),
        operation: impl FnMut(),
    ) -> usize {
        // SAFETY: I1: `allows` looked that no other is served.
        self.everywhere(Kind::NonMaskable, &mut || unsafe { Nmi::enter(&mut handler) }, operation)
    }

    /// As [`interrupt_everywhere`](Self::interrupt_everywhere), with a softirq: that comes where neither softirqs nor interrupts are off.
    pub fn softirq_everywhere(
        self,
        mut handler: impl FnMut(&mut Softirq<'_, ModelKernel<P, T, FORCE_MAP, E>>),
        operation: impl FnMut(),
    ) -> usize {
        // SAFETY: I1: `allows` looked that softirqs are not off, and no other is served.
        self.everywhere(Kind::BottomHalf, &mut || unsafe { Softirq::enter(&mut handler) }, operation)
    }

    /// As [`interrupt_everywhere`](Self::interrupt_everywhere), with another thread, which runs `f` from its beginning to its end: that is
    /// where preemption is not off either.
    pub fn switch_everywhere(
        self,
        mut f: impl FnMut(&mut Task<'_, ModelKernel<P, T, FORCE_MAP, E>>),
        operation: impl FnMut(),
    ) -> usize {
        self.everywhere(Kind::Switch, &mut || switch(&mut f), operation)
    }

    /// Runs `operation` once, and interrupts it before its step `at`, counted from 0 as [`interrupt_everywhere`](Self::interrupt_everywhere)
    /// does, or as soon afterwards as interrupts are on; at its end, if it has fewer steps. Returns whether that came to be.
    ///
    /// # Panics
    /// Unless this thread is the CPU. If the operation is within another one that still waits to be interrupted so.
    pub fn interrupt_at(
        self,
        at: usize,
        mut handler: impl FnMut(&mut HardIrq<'_, ModelKernel<P, T, FORCE_MAP>>),
        operation: impl FnOnce(),
    ) -> bool {
        // SAFETY: I1: `serve` turned interrupts off, and they were on.
        self.inject(Kind::Maskable, at, &mut || unsafe { HardIrq::enter(&mut handler) }, operation).1
    }

    /// As [`interrupt_at`](Self::interrupt_at), with a non-maskable interrupt.
    pub fn nmi_at(
        self,
        at: usize,
        mut handler: impl FnMut(&mut Nmi<'_, ModelKernel<P, T, FORCE_MAP>>),
        operation: impl FnOnce(),
    ) -> bool {
        // SAFETY: I1: `allows` looked that no other is served.
        self.inject(Kind::NonMaskable, at, &mut || unsafe { Nmi::enter(&mut handler) }, operation).1
    }

    /// As [`interrupt_at`](Self::interrupt_at), with a softirq.
    pub fn softirq_at(
        self,
        at: usize,
        mut handler: impl FnMut(&mut Softirq<'_, ModelKernel<P, T, FORCE_MAP>>),
        operation: impl FnOnce(),
    ) -> bool {
        // SAFETY: I1: `allows` looked that softirqs are not off, and no other is served.
        self.inject(Kind::BottomHalf, at, &mut || unsafe { Softirq::enter(&mut handler) }, operation).1
    }

    fn everywhere(self, kind: Kind, handler: &mut dyn FnMut(), mut operation: impl FnMut()) -> usize {
        /// Says where it was, if there is a panic.
        struct At(usize);
        impl Drop for At {
            fn drop(&mut self) {
                if thread::panicking() {
                    std::eprintln!("the operation was interrupted at step {}", self.0);
                }
            }
        }
        // At no step, so at the end: until then the steps are the operation's own.
        let (steps, _) = self.inject(kind, usize::MAX, handler, &mut operation);
        for at in 0..=steps {
            let _at = At(at);
            let (_, ran) = self.inject(kind, at, handler, &mut operation);
            assert!(ran, "CPU {} is {} at the end of the operation: it was not interrupted", self.number, state());
        }
        steps
    }

    /// Runs `f` with `handler` raised before its step `at`, counted from 0; past the last, after it. Says how many steps there were,
    /// with those of the handler if it ran before the end, and whether it ran.
    fn inject(self, kind: Kind, at: usize, handler: &mut dyn FnMut(), f: impl FnOnce()) -> (usize, bool) {
        /// Takes the injection away, whatever happens.
        struct Away<'a>(&'a Here);
        impl Drop for Away<'_> {
            fn drop(&mut self) {
                self.0.injection.set(None);
            }
        }
        assert_eq!(current(), Some(self.number), "only the CPU's own thread has steps that can be counted");
        HERE.with(|here| {
            assert!(here.injection.get().is_none(), "an injection within another");
            let first = here.steps.get();
            let run: *mut (dyn FnMut() + '_) = handler;
            // SAFETY: only the lifetime changes; `Away` takes the pointer out of `here` before the handler ends.
            let run = unsafe { mem::transmute::<*mut (dyn FnMut() + '_), *mut (dyn FnMut() + 'static)>(run) };
            here.injection.set(Some(Injection { kind, at: Some(first.saturating_add(at)), run }));
            let _away = Away(here);
            f();
            let steps = here.steps.get() - first;
            if let Some(injection) = here.injection.get() {
                here.injection.set(Some(Injection { at: None, ..injection }));
                here.deliver();
            }
            (steps, here.injection.get().is_none())
        })
    }
}
