//! Runs a program, and beside it a plain account of what must be so: which frame has which bytes, what each slot maps, what is off, and
//! what each operation may ask of the processor. After each operation the two are compared.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::mem;

use highmem::context::{AtomicDeeper, SoftirqDeeper};
use highmem::debug::{self, Mapping, Serving, State};
use highmem::fixmap::slots_of_cpu;
use highmem::model::{Config, Counts, Machine, Translation, Zone};
use highmem::page::Access;
use highmem::paging::{MemoryType, Paging};
use highmem::slot::Group;
use highmem::typenum::Unsigned;
use highmem::{
    Atomic, BhOff, HardIrq, IrqsOff, Kernel, KmType, KmTypes, KmapAtomic, MaySleepHere, Nmi, PAGE_SIZE, Pfn, Slot,
    Softirq, Task, kmap_atomic,
};

use crate::model::words_per_entry;
use crate::pages::{Back, Guard, Mappable, Memory, TestPage, exclusive, owned, shared};
use crate::program::{By, CPUS, Context, End, Handler, Kind, Program, Step};
use crate::{DEBUG, K, km};

/// What nothing is asked of the processor for.
const FREE: Counts = Counts { loads: 0, stores: 0, invlpg: 0, flush_all: 0, barriers: 0 };

/// What is off, and what is being served: the kernel's accounts as they have to be.
#[derive(Clone, Copy)]
struct Account {
    serving: Serving,
    preemption_off: usize,
    softirqs_off: usize,
    interrupts_on: bool,
}

impl Account {
    const THREAD: Self = Self { serving: Serving::Thread, preemption_off: 0, softirqs_off: 0, interrupts_on: true };

    fn allows(self, kind: Kind) -> bool {
        match kind {
            Kind::Hard => self.interrupts_on,
            Kind::Soft => self.serving == Serving::Thread && self.softirqs_off == 0 && self.interrupts_on,
            Kind::NonMaskable => self.serving != Serving::NmiHandler,
        }
    }

    fn state(self) -> State {
        let is_handler = self.serving != Serving::Thread;
        State {
            serving: self.serving,
            preemption_off: is_handler || self.preemption_off > 0,
            softirqs_off: is_handler || self.softirqs_off > 0,
            interrupts_off: !self.interrupts_on,
        }
    }
}

/// How often programs did what: a generator whose programs do nothing finds nothing.
#[derive(Default, Debug)]
pub struct Done {
    pub mapped: Cell<usize>,
    pub found_forgotten: Cell<usize>,
    pub dropped: Cell<usize>,
    pub unmapped: Cell<usize>,
    pub forgotten: Cell<usize>,
    pub written: Cell<usize>,
    pub refused: Cell<usize>,
    pub compared: Cell<usize>,
    pub copied: Cell<usize>,
    pub poked: Cell<usize>,
    pub contexts: Cell<usize>,
    pub contexts_forgotten: Cell<usize>,
    pub handlers: [Cell<usize>; 3],
    pub handlers_under_a_mapping: Cell<usize>,
    pub interrupts_on_in_a_handler: Cell<usize>,
}

fn count(of: &Cell<usize>) {
    of.set(of.get() + 1);
}

/// A slot of a context: its token, or what became of it.
enum Held<'cx, P: Paging, S> {
    Token(Slot<'cx, K<P>, S>),
    Mapped { page: usize, is_owned: bool, guard: Box<dyn Guard<'cx, P, S> + 'cx> },
    Gone,
}

impl<P: Paging, S> Held<'_, P, S> {
    /// The token lent, if it is there.
    fn lend(&mut self) -> Held<'_, P, S> {
        match self {
            Held::Token(slot) => Held::Token(slot.reborrow()),
            _ => Held::Gone,
        }
    }
}

/// What a context can go on to.
trait Deeper<P: Paging> {
    fn atomic(&mut self) -> Option<Atomic<'_, K<P>>> {
        None
    }
    fn bh_off(&mut self) -> Option<BhOff<'_, K<P>>> {
        None
    }
    fn irqs_off(&mut self) -> Option<IrqsOff<'_, K<P>>> {
        None
    }
}

impl<P: Paging> Deeper<P> for Task<'_, K<P>> {
    fn atomic(&mut self) -> Option<Atomic<'_, K<P>>> {
        Some(MaySleepHere::atomic(self))
    }
}

impl<P: Paging> Deeper<P> for AtomicDeeper<'_, K<P>> {
    fn bh_off(&mut self) -> Option<BhOff<'_, K<P>>> {
        Some(AtomicDeeper::bh_off(self))
    }
    fn irqs_off(&mut self) -> Option<IrqsOff<'_, K<P>>> {
        Some(AtomicDeeper::irqs_off(self))
    }
}

impl<P: Paging> Deeper<P> for SoftirqDeeper<'_, K<P>> {
    fn irqs_off(&mut self) -> Option<IrqsOff<'_, K<P>>> {
        Some(SoftirqDeeper::irqs_off(self))
    }
}

/// Of contexts that go no deeper.
struct Nowhere;

impl<P: Paging> Deeper<P> for Nowhere {}

/// What is mapped in each slot of a CPU, and whether it may be written.
type Slots<P> = [Option<(Pfn<P>, bool)>; SLOTS];

/// A machine, its pages, and the account.
pub struct World<'d, P: Paging> {
    pages: Vec<TestPage<P>>,
    cpu: Cell<usize>,
    account: Cell<Account>,
    /// What each slot of each CPU maps: the frame, and whether it may be written.
    slots: RefCell<Vec<Slots<P>>>,
    /// The address of each slot of each CPU.
    addresses: Vec<Vec<usize>>,
    asked: Cell<Counts>,
    reports: Cell<usize>,
    is_to_be_interrupted: Cell<bool>,
    done: &'d Done,
    // Dropped behind its pages.
    machine: Machine<P, km::Set>,
}

const SLOTS: usize = <<km::Set as KmTypes>::Count as Unsigned>::USIZE;

/// Runs a program on a machine of its own.
pub fn run<P: Paging>(program: &Program, done: &Done) {
    let world = World::<P>::new(done);
    for task in &program.0 {
        world.cpu.set(task.cpu);
        world.machine.cpu(task.cpu).task(|cx| {
            world.run::<km::A0, km::A1, _>(&task.steps, &mut (Held::Gone, Held::Gone), cx);
            world.end_forgotten_contexts();
        });
    }
    world.check();
}

impl<'d, P: Paging> World<'d, P> {
    fn new(done: &'d Done) -> Self {
        let config = Config { cpus: CPUS, panic_on_report: false, lowmem: 1 << 20, ..Config::default() };
        let machine = Machine::with(config);
        let kinds = [(Zone::High, 3, false), (Zone::Low, 1, false), (Zone::High, 1, true), (Zone::Low, 1, true)];
        let pages = kinds.into_iter().flat_map(|(zone, number, is_shared)| {
            let machine = &machine;
            (0..number).map(move |_| TestPage::new(machine, zone, is_shared))
        });
        let pages = pages.collect();
        let addresses: Vec<Vec<usize>> =
            (0..CPUS).map(|cpu| slots_of_cpu::<K<P>>(cpu).take(SLOTS).map(|(_, address)| address).collect()).collect();
        assert_eq!(
            addresses.iter().flatten().collect::<BTreeSet<_>>().len(),
            CPUS * SLOTS,
            "a slot has another's address"
        );
        Self {
            pages,
            cpu: Cell::new(0),
            account: Cell::new(Account::THREAD),
            slots: RefCell::new(vec![[None; SLOTS]; CPUS]),
            addresses,
            asked: Cell::new(FREE),
            reports: Cell::new(0),
            is_to_be_interrupted: Cell::new(false),
            done,
            machine,
        }
    }

    /// The steps of a context, which has no other slots than these two.
    fn scope<'w, 'cx, X, Y, D>(&'w self, steps: &[Step], mut held: (Held<'cx, P, X>, Held<'cx, P, Y>), deeper: &mut D)
    where
        'w: 'cx,
        X: KmType<Set = km::Set>,
        Y: KmType<Set = km::Set>,
        D: Deeper<P>,
    {
        self.run(steps, &mut held, deeper);
        self.end(&mut held.0, End::Drop);
        self.end(&mut held.1, End::Drop);
    }

    fn run<'w, 'cx, X, Y, D>(&'w self, steps: &[Step], held: &mut (Held<'cx, P, X>, Held<'cx, P, Y>), deeper: &mut D)
    where
        'w: 'cx,
        X: KmType<Set = km::Set>,
        Y: KmType<Set = km::Set>,
        D: Deeper<P>,
    {
        for step in steps {
            match step {
                Step::Map { slot: 0, .. }
                | Step::Write { slot: 0, .. }
                | Step::Read { slot: 0 }
                | Step::End { slot: 0, .. }
                | Step::Fill { slot: 0, .. }
                | Step::Forget { slot: 0, .. } => self.in_slot(&mut held.0, step),
                Step::Map { .. }
                | Step::Write { .. }
                | Step::Read { .. }
                | Step::End { .. }
                | Step::Fill { .. }
                | Step::Forget { .. } => self.in_slot(&mut held.1, step),
                Step::Copy { from, to } => self.copy(held, *from, *to),
                Step::Poke { page, at, byte } => self.poke(*page, *at, *byte),
                Step::Block(steps) => self.scope(steps, (held.0.lend(), held.1.lend()), deeper),
                Step::Enter { context, steps, is_forgotten } => self.enter(*context, steps, *is_forgotten, deeper),
                Step::Serve(handler) => self.serve(handler),
                Step::Interrupted { by, at, steps } => self.interrupted(by, *at, || self.run(steps, held, deeper)),
            }
        }
    }

    fn enter<D: Deeper<P>>(&self, context: Context, steps: &[Step], is_forgotten: bool, deeper: &mut D) {
        let before = self.account.get();
        match context {
            Context::Atomic => {
                let Some(mut atomic) = self.asks(FREE, || deeper.atomic()) else { return };
                let within = Account { preemption_off: before.preemption_off + 1, ..before };
                self.now(within);
                let mut slots = atomic.slots();
                self.scope(steps, (Held::Token(slots.a0), Held::Token(slots.a1)), &mut slots.deeper);
                self.leave(Group::PreemptionOff, is_forgotten, |account| account.preemption_off -= 1, atomic);
            }
            Context::BhOff => {
                let Some(mut bh_off) = self.asks(FREE, || deeper.bh_off()) else { return };
                let within = Account { softirqs_off: before.softirqs_off + 1, ..before };
                self.now(within);
                let mut slots = bh_off.slots();
                self.scope(steps, (Held::Token(slots.s0), Held::Token(slots.s1)), &mut slots.deeper);
                self.leave(Group::SoftirqsOff, is_forgotten, |account| account.softirqs_off -= 1, bh_off);
            }
            Context::IrqsOff => {
                let Some(mut irqs_off) = self.asks(FREE, || deeper.irqs_off()) else { return };
                let within = Account { interrupts_on: false, ..before };
                self.now(within);
                let slots = irqs_off.slots();
                self.scope(steps, (Held::Token(slots.i0), Held::Token(slots.i1)), &mut Nowhere);
                let end = |account: &mut Account| account.interrupts_on = before.interrupts_on;
                self.leave(Group::InterruptsOff, is_forgotten, end, irqs_off);
            }
        }
        count(&self.done.contexts);
    }

    /// Ends a context, or forgets it: then what it turned off stays off.
    fn leave<C>(&self, group: Group, is_forgotten: bool, end: impl FnOnce(&mut Account), context: C) {
        if is_forgotten {
            mem::forget(context);
            count(&self.done.contexts_forgotten);
        } else {
            let cost = self.emptied(group);
            // Before it ends: what has been waiting comes as soon as it may.
            let mut account = self.account.get();
            end(&mut account);
            self.account.set(account);
            self.asks(cost, || drop(context));
        }
        self.check_state();
    }

    /// With the feature `debug`, what is left in the slots of a context is unmapped at its end. What that asks for.
    fn emptied(&self, group: Group) -> Counts {
        if !DEBUG {
            return FREE;
        }
        let slots = &mut self.slots.borrow_mut()[self.cpu.get()];
        let left = (0..SLOTS).filter(|&slot| km::Set::GROUPS[slot] == group && slots[slot].take().is_some()).count();
        self.reports.set(self.reports.get() + left);
        (0..left).fold(FREE, |counts, _| counts + unmapping::<P>())
    }

    /// Ends for the machine what forgotten contexts began.
    fn end_forgotten_contexts(&self) {
        let Account { preemption_off, softirqs_off, interrupts_on, .. } = self.account.replace(Account::THREAD);
        // SAFETY: I1, I2: all contexts of the task are gone, and what is ended is what they have left.
        unsafe {
            (0..preemption_off).for_each(|_| K::<P>::preempt_enable());
            (0..softirqs_off).for_each(|_| K::<P>::bh_enable());
            if !interrupts_on {
                K::<P>::irq_restore(true);
            }
        }
        self.check_state();
    }

    fn serve(&self, handler: &Handler) {
        let cpu = self.machine.cpu(self.cpu.get());
        if self.account.get().allows(handler.kind) {
            match handler.kind {
                Kind::Hard => cpu.interrupt_now(|irq| self.hard(irq, handler)),
                Kind::Soft => cpu.softirq_now(|softirq| self.soft(softirq, handler)),
                Kind::NonMaskable => cpu.nmi_now(|nmi| self.non_maskable(nmi, handler)),
            }
            self.check_state();
        }
    }

    /// Runs `steps` with a handler that comes before one of what they ask of the processor. There is one such handler at a time.
    fn interrupted(&self, by: &Handler, at: usize, steps: impl FnOnce()) {
        if self.is_to_be_interrupted.replace(true) {
            steps();
            return self.serve(by);
        }
        let cpu = self.machine.cpu(self.cpu.get());
        let came = || self.is_to_be_interrupted.set(false);
        let is_served = match by.kind {
            Kind::Hard => cpu.interrupt_at(at, |irq| (came(), self.hard(irq, by)).1, steps),
            Kind::Soft => cpu.softirq_at(at, |softirq| (came(), self.soft(softirq, by)).1, steps),
            Kind::NonMaskable => cpu.nmi_at(at, |nmi| (came(), self.non_maskable(nmi, by)).1, steps),
        };
        self.is_to_be_interrupted.set(false);
        assert!(is_served || !self.account.get().allows(by.kind), "a handler that may come did not");
        self.check_state();
    }

    fn hard(&self, irq: &mut HardIrq<'_, K<P>>, Handler { steps, meanwhile, .. }: &Handler) {
        self.serving(Kind::Hard, || {
            let slots = irq.slots();
            self.scope(steps, (Held::Token(slots.i0), Held::Token(slots.i1)), &mut Nowhere);
            if let Some(handler) = meanwhile {
                let within = self.account.get();
                let cost = self.emptied(Group::InterruptsOff);
                self.account.set(Account { interrupts_on: true, ..within });
                self.asks(cost, || irq.with_irqs_on(|| self.serve(handler)));
                self.now(within);
                count(&self.done.interrupts_on_in_a_handler);
            }
            self.ended(Group::InterruptsOff);
        });
    }

    fn soft(&self, softirq: &mut Softirq<'_, K<P>>, Handler { steps, .. }: &Handler) {
        self.serving(Kind::Soft, || {
            let mut slots = softirq.slots();
            self.scope(steps, (Held::Token(slots.s0), Held::Token(slots.s1)), &mut slots.deeper);
            self.ended(Group::SoftirqsOff);
        });
    }

    fn non_maskable(&self, nmi: &mut Nmi<'_, K<P>>, Handler { steps, .. }: &Handler) {
        self.serving(Kind::NonMaskable, || {
            let slots = nmi.slots();
            self.scope(steps, (Held::Token(slots.n0), Held::Token(slots.n1)), &mut Nowhere);
            self.ended(Group::InNmi);
        });
    }

    /// A handler's context ends as soon as this returns.
    fn ended(&self, group: Group) {
        self.asked.set(self.asked.get() + self.emptied(group));
    }

    fn serving(&self, kind: Kind, handler: impl FnOnce()) {
        let interrupted = self.account.get();
        assert!(interrupted.allows(kind), "a handler came that may not come: {kind:?}");
        let (serving, interrupts_on) = match kind {
            Kind::Hard => (Serving::InterruptHandler, false),
            Kind::Soft => (Serving::SoftirqHandler, true),
            Kind::NonMaskable => (Serving::NmiHandler, false),
        };
        count(&self.done.handlers[kind as usize]);
        if self.slots.borrow()[self.cpu.get()].iter().any(Option::is_some) {
            count(&self.done.handlers_under_a_mapping);
        }
        self.now(Account { serving, interrupts_on, ..interrupted });
        handler();
        self.account.set(interrupted);
    }

    fn in_slot<'w, 'cx, S>(&'w self, held: &mut Held<'cx, P, S>, step: &Step)
    where
        'w: 'cx,
        S: KmType<Set = km::Set>,
    {
        match (step, &mut *held) {
            (&Step::Map { page, by, .. }, Held::Token(_)) => {
                if let Held::Token(slot) = mem::replace(held, Held::Gone) {
                    *held = self.map_and_keep(slot, page, by);
                }
            }
            (&Step::Write { at, byte, .. }, Held::Mapped { page, guard, .. }) => {
                if guard.write(at, &[byte]) {
                    self.pages[*page].bytes.borrow_mut()[at] = byte;
                    count(&self.done.written);
                } else {
                    count(&self.done.refused);
                }
                self.check_frame(*page);
            }
            (Step::Read { .. }, Held::Mapped { page, guard, .. }) => {
                self.pages[*page].compare(&guard.read());
                count(&self.done.compared);
            }
            (&Step::End { end, .. }, Held::Mapped { .. }) => self.end(held, end),
            (&Step::Fill { page, byte, .. }, Held::Token(slot)) => match &self.pages[page].memory {
                Memory::Own(cell) => {
                    if let Some(mut frame) = exclusive(cell) {
                        self.fill(slot.reborrow(), page, &mut *frame.0, byte);
                    }
                }
                Memory::Shared(cell) => {
                    if let Some(mut frame) = exclusive(cell) {
                        self.fill(slot.reborrow(), page, &mut *frame.0, byte);
                    }
                }
            },
            (&Step::Forget { page, .. }, Held::Token(slot)) => {
                match &self.pages[page].memory {
                    Memory::Own(cell) => {
                        shared(cell).map(|frame| mem::forget(self.map(slot.reborrow(), page, &*frame.0)))
                    }
                    Memory::Shared(cell) => {
                        shared(cell).map(|frame| mem::forget(self.map(slot.reborrow(), page, &*frame.0)))
                    }
                };
                count(&self.done.forgotten);
            }
            _ => {}
        }
    }

    /// Takes the page, if it is there and not in use.
    fn map_and_keep<'w, 'cx, S>(&'w self, slot: Slot<'cx, K<P>, S>, page: usize, by: By) -> Held<'cx, P, S>
    where
        'w: 'cx,
        S: KmType<Set = km::Set>,
    {
        macro_rules! keep {
            ($frame:expr) => {
                match $frame {
                    Some(frame) => {
                        let (is_owned, guard) = (by == By::Owned, Box::new(self.map(slot, page, frame)));
                        Held::Mapped { page, is_owned, guard }
                    }
                    None => Held::Token(slot),
                }
            };
        }
        match (&self.pages[page].memory, by) {
            (Memory::Own(cell), By::Owned) => keep!(owned(cell)),
            (Memory::Own(cell), By::Exclusive) => keep!(exclusive(cell)),
            (Memory::Own(cell), By::Shared) => keep!(shared(cell)),
            (Memory::Shared(cell), By::Owned) => keep!(owned(cell)),
            (Memory::Shared(cell), By::Exclusive) => keep!(exclusive(cell)),
            (Memory::Shared(cell), By::Shared) => keep!(shared(cell)),
        }
    }

    /// Ends a mapping, if there is one.
    fn end<S: KmType<Set = km::Set>>(&self, held: &mut Held<'_, P, S>, end: End) {
        match mem::replace(held, Held::Gone) {
            // A forgotten frame could never be freed.
            Held::Mapped { page, is_owned: false, guard } if end == End::Forget => {
                mem::forget(guard);
                self.check_frame(page);
                count(&self.done.forgotten);
            }
            Held::Mapped { page, guard, .. } if end == End::Unmap => {
                let (slot, back) = self.unmap::<S, _>(page, || guard.unmap());
                match (back, &self.pages[page].memory) {
                    (Back::Frame(frame), Memory::Own(cell)) => *cell.borrow_mut() = Some(frame),
                    (Back::SharedFrame(frame), Memory::Shared(cell)) => *cell.borrow_mut() = Some(frame),
                    _ => {}
                }
                *held = Held::Token(slot);
                count(&self.done.unmapped);
            }
            Held::Mapped { page, is_owned, guard } => {
                self.unmap::<S, _>(page, || drop(guard));
                if is_owned {
                    self.pages[page].replace(&self.machine);
                }
                count(&self.done.dropped);
            }
            other => *held = other,
        }
    }

    fn fill<S, G>(&self, slot: Slot<'_, K<P>, S>, page: usize, frame: G, byte: u8)
    where
        S: KmType<Set = km::Set>,
        G: Mappable<P>,
    {
        let mut guard = self.map(slot, page, frame);
        G::write(&mut guard, 0, &[byte; PAGE_SIZE]);
        self.pages[page].bytes.borrow_mut().fill(byte);
        self.unmap::<S, _>(page, || drop(guard));
        self.check_frame(page);
        count(&self.done.written);
    }

    fn copy<X, Y>(&self, held: &mut (Held<'_, P, X>, Held<'_, P, Y>), from: usize, to: usize)
    where
        X: KmType<Set = km::Set>,
        Y: KmType<Set = km::Set>,
    {
        let (Held::Token(source), Held::Token(target)) = held else { return };
        match (&self.pages[from].memory, &self.pages[to].memory) {
            (Memory::Own(read), Memory::Own(write)) => {
                let (Some(read), Some(mut write)) = (shared(read), exclusive(write)) else { return };
                self.copy_between((source.reborrow(), from, &*read.0), (target.reborrow(), to, &mut *write.0));
            }
            (Memory::Shared(read), Memory::Own(write)) => {
                let (Some(read), Some(mut write)) = (shared(read), exclusive(write)) else { return };
                self.copy_between((source.reborrow(), from, &*read.0), (target.reborrow(), to, &mut *write.0));
            }
            (Memory::Own(read), Memory::Shared(write)) => {
                let (Some(read), Some(mut write)) = (shared(read), exclusive(write)) else { return };
                self.copy_between((source.reborrow(), from, &*read.0), (target.reborrow(), to, &mut *write.0));
            }
            (Memory::Shared(read), Memory::Shared(write)) => {
                let (Some(read), Some(mut write)) = (shared(read), exclusive(write)) else { return };
                self.copy_between((source.reborrow(), from, &*read.0), (target.reborrow(), to, &mut *write.0));
            }
        }
    }

    fn copy_between<X, Y, F, G>(
        &self,
        (from_slot, from, source): (Slot<'_, K<P>, X>, usize, F),
        (to_slot, to, target): (Slot<'_, K<P>, Y>, usize, G),
    ) where
        X: KmType<Set = km::Set>,
        Y: KmType<Set = km::Set>,
        F: Mappable<P>,
        G: Mappable<P>,
    {
        let source = self.map(from_slot, from, source);
        let mut target = self.map(to_slot, to, target);
        G::write(&mut target, 0, &F::read(&source));
        self.pages[to].bytes.borrow_mut().copy_from_slice(&self.pages[from].bytes.borrow()[..]);
        // The first first.
        self.unmap::<X, _>(from, || drop(source));
        self.unmap::<Y, _>(to, || drop(target));
        self.check_frame(to);
        count(&self.done.copied);
    }

    fn poke(&self, page: usize, at: usize, byte: u8) {
        if let TestPage { memory: Memory::Shared(_), pfn, bytes, .. } = &self.pages[page] {
            self.machine.poke(pfn.get(), at, &[byte]);
            bytes.borrow_mut()[at] = byte;
            count(&self.done.poked);
        }
    }

    /// `kmap_atomic`, and what must be so then.
    fn map<'cx, S, G>(&self, slot: Slot<'cx, K<P>, S>, page: usize, frame: G) -> KmapAtomic<'cx, K<P>, S, G>
    where
        S: KmType<Set = km::Set>,
        G: Mappable<P>,
    {
        let index = <S::Index as Unsigned>::USIZE;
        let guard = self.asks(self.cost_of_mapping(page, index), || kmap_atomic(slot, frame));
        self.mapped(page, index, G::Access::WRITABLE, (guard.pfn(), guard.address()));
        self.pages[page].compare(&G::read(&guard));
        guard
    }

    fn cost_of_mapping(&self, page: usize, slot: usize) -> Counts {
        if !self.pages[page].is_mapped() {
            FREE
        } else if self.slots.borrow()[self.cpu.get()][slot].is_some() {
            self.reports.set(self.reports.get() + usize::from(DEBUG));
            count(&self.done.found_forgotten);
            unmapping::<P>() + mapping::<P>()
        } else {
            mapping::<P>()
        }
    }

    fn mapped(&self, page: usize, slot: usize, writable: bool, (pfn, address): (Pfn<P>, usize)) {
        assert_eq!(pfn, self.pages[page].pfn.get());
        if self.pages[page].is_mapped() {
            let cpu = self.cpu.get();
            self.slots.borrow_mut()[cpu][slot] = Some((pfn, writable));
            assert_eq!(address, self.addresses[cpu][slot], "the address of {}", km::Set::NAMES[slot]);
            let (pfn, executable, memory_type) = (pfn.number() as u64, !P::PAE, MemoryType::WriteBack);
            let expected = Translation { pfn, writable, executable, global: false, memory_type };
            let seen = self.machine.translation(address);
            assert_eq!(seen, Some(expected), "what the processor sees in {}", km::Set::NAMES[slot]);
        } else {
            assert!(!self.addresses.iter().flatten().any(|&of_slot| of_slot == address), "lowmem in a slot");
        }
        self.check_state();
        count(&self.done.mapped);
    }

    /// The end of a mapping, and what must be so then.
    fn unmap<S: KmType<Set = km::Set>, R>(&self, page: usize, end: impl FnOnce() -> R) -> R {
        let cost = if self.pages[page].is_mapped() { unmapping::<P>() } else { FREE };
        let result = self.asks(cost, end);
        self.unmapped(page, <S::Index as Unsigned>::USIZE);
        result
    }

    fn unmapped(&self, page: usize, slot: usize) {
        let cpu = self.cpu.get();
        if self.pages[page].is_mapped() {
            self.slots.borrow_mut()[cpu][slot] = None;
            let left = self.machine.translation(self.addresses[cpu][slot]);
            assert_eq!(left, None, "what the processor sees in {}", km::Set::NAMES[slot]);
        }
        self.check_state();
    }

    /// An operation, and what it may ask of the processor, handlers that come meanwhile left out.
    fn asks<R>(&self, cost: Counts, operation: impl FnOnce() -> R) -> R {
        let before = self.asked.get();
        let (result, counts) = self.machine.cpu(self.cpu.get()).count(operation);
        self.has_asked(before, counts, cost);
        result
    }

    fn has_asked(&self, before: Counts, counts: Counts, cost: Counts) {
        let expected = self.asked.get() - before + cost;
        self.asked.set(before + expected);
        assert_eq!(exact(counts), exact(expected), "what was asked of the processor");
    }

    /// From now on, the accounts are these.
    fn now(&self, account: Account) {
        self.account.set(account);
        self.check_state();
    }

    fn check_state(&self) {
        assert_eq!(K::<P>::state(), Some(self.account.get().state()), "the kernel's accounts");
    }

    /// The frame itself has the page's bytes.
    fn check_frame(&self, page: usize) {
        self.pages[page].compare(&self.machine.peek(self.pages[page].pfn.get()));
    }

    /// When all is over.
    fn check(&self) {
        (0..self.pages.len()).for_each(|page| self.check_frame(page));
        let left = debug::mappings::<K<P>>().map(|Mapping { cpu, slot, pfn, writable, .. }| (cpu, slot, pfn, writable));
        let slots = self.slots.borrow();
        let expected = (0..CPUS).flat_map(|cpu| {
            let of_cpu = slots[cpu].iter().zip(km::Set::NAMES);
            of_cpu.filter_map(move |(slot, &name)| slot.map(|(pfn, writable)| (cpu, name, pfn.number(), writable)))
        });
        assert_eq!(left.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "what is left in slots");
        assert_eq!(self.machine.stale(), [], "a translation is still cached");
        assert_eq!(self.machine.faults(), []);
        assert_eq!(self.machine.reports().len(), self.reports.get(), "reports");
        assert_eq!(self.machine.allocated(), self.pages.len(), "frames in use");
    }
}

/// What a mapping asks of the processor, if the slot is empty.
fn mapping<P: Paging>() -> Counts {
    Counts { loads: 1, stores: words_per_entry::<P>(), barriers: 1, ..FREE }
}

/// What the end of a mapping asks of the processor.
fn unmapping<P: Paging>() -> Counts {
    Counts { stores: words_per_entry::<P>(), invlpg: 1, barriers: 1, ..FREE }
}

/// What is counted: with the feature `debug`, entries are looked at more often.
fn exact(counts: Counts) -> Counts {
    if DEBUG { Counts { loads: 0, barriers: 0, ..counts } } else { counts }
}

impl Done {
    /// Panics if there is something that `programs` programs hardly ever did.
    pub fn check(&self, programs: usize) {
        let Self {
            mapped,
            found_forgotten,
            dropped,
            unmapped,
            forgotten,
            written,
            refused,
            compared,
            copied,
            poked,
            ..
        } = self;
        let Self {
            contexts, contexts_forgotten, handlers, handlers_under_a_mapping, interrupts_on_in_a_handler, ..
        } = self;
        let often = [mapped, contexts, dropped, written, &handlers[0], &handlers[1], &handlers[2]];
        let seldom = [found_forgotten, unmapped, forgotten, refused, compared, copied, poked, contexts_forgotten];
        let rarely = [handlers_under_a_mapping, interrupts_on_in_a_handler];
        let enough = |of: &[&Cell<usize>], least: usize| of.iter().all(|of| of.get() >= least);
        assert!(
            enough(&often, programs / 2) && enough(&seldom, programs / 10) && enough(&rarely, programs / 20),
            "{programs} programs did too little: {self:?}"
        );
    }
}
