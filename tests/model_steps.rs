//! The mapper is right at each step: an interrupt, an NMI or a softirq that maps and unmaps itself may come between any two.

mod model;

use std::cell::Cell;
use std::mem;

use highmem::batch::BatchSlot;
use highmem::debug;
use highmem::model::{Config, Counts, Cpu, FRESH, Frame, Machine, ModelKernel, Zone};
use highmem::paging::Paging;
use highmem::{KmType, PAGE_SIZE, Page, Slot, Task, kmap_atomic, kmap_batch, kunmap_atomic};
use model::{in_each_mode, words_per_entry};

highmem::km_types! {
    mod km {
        atomic { source: Source, target: Target, many: Many[40] }
        softirq { bottom: Bottom }
        irqsoff { ring: Ring, copy: Copy, received: Received[3] }
        nmi { trace: Trace }
    }
}

type K<P> = ModelKernel<P, km::Set>;
type Model<P> = Machine<P, km::Set>;

in_each_mode!(
    handlers_come_at_each_step_of_a_mapping,
    handlers_come_at_each_step_of_a_read_only_mapping,
    handlers_come_at_each_step_of_an_explicit_unmap,
    handlers_come_at_each_step_of_a_copy,
    handlers_come_at_each_step_of_a_forgotten_guards_end,
    handlers_come_at_each_step_of_a_lowmem_mapping,
    handlers_come_at_each_step_of_a_batch,
    handlers_come_at_each_step_of_a_batch_that_is_flushed_at_once,
    handlers_come_at_each_step_of_a_forgotten_batchs_end,
    a_handler_and_a_task_with_interrupts_off_share_a_slot,
    a_handler_and_a_task_with_interrupts_off_share_a_batch,
    a_softirq_and_a_task_with_softirqs_off_share_a_slot,
    nested_handlers_share_a_slot,
    steps_are_what_is_asked_of_the_processor,
    a_handler_comes_once_at_the_step_that_is_asked_for,
);

/// The bytes that each writes to its own page.
const TASK: u8 = 1;
const IRQ: u8 = 2;
const NMI: u8 = 3;
const SOFTIRQ: u8 = 4;

fn machine<P: Paging>() -> Model<P> {
    // With forgotten guards on purpose, the feature `debug` has something to report.
    Model::with(Config { panic_on_report: false, ..Config::default() })
}

/// Nothing is left: no mapping, no translation, no wrong byte.
fn check<P: Paging>(machine: &Model<P>) {
    assert_eq!(debug::mappings::<K<P>>().count(), 0, "a slot is not empty");
    assert_eq!(machine.stale(), [], "a translation is still cached");
    assert_eq!(machine.faults(), []);
}

/// What a handler does: maps, writes, reads, unmaps; within its budget, so it found its slot empty.
fn use_slot<P: Paging, S: KmType<Set = km::Set>>(
    cpu: Cpu<'_, P, km::Set, false>,
    mut slot: Slot<'_, K<P>, S>,
    page: &mut Frame<P>,
    byte: u8,
) {
    for writes in [true, false] {
        let ((), counts) = cpu.count(|| {
            if writes {
                kmap_atomic(slot.reborrow(), &mut *page).fill(byte);
            } else {
                assert_eq!(
                    kmap_atomic(slot.reborrow(), &*page)[..],
                    [byte; PAGE_SIZE],
                    "{} read another page",
                    S::NAME
                );
            }
        });
        let stores = 2 * words_per_entry::<P>();
        let loads = if cfg!(feature = "debug") { 2 } else { 1 };
        assert_eq!(counts, Counts { loads, stores, invlpg: 1, flush_all: 0, barriers: 2 }, "{} was not empty", S::NAME);
    }
}

/// Interrupts `operation` at each of its steps, by all that there is. `page` is what it writes to.
fn at_each_step<P: Paging>(
    machine: &Model<P>,
    page: &mut Frame<P>,
    mut operation: impl FnMut(&mut Task<'_, K<P>>, &mut Frame<P>),
) {
    let cpu = machine.cpu(0);
    let mut own = machine.alloc(Zone::High);
    let pfn = own.pfn();
    cpu.task(|task| {
        let steps = [
            cpu.interrupt_everywhere(|irq| use_slot(cpu, irq.slots().ring, &mut own, IRQ), || operation(task, page)),
            cpu.nmi_everywhere(|nmi| use_slot(cpu, nmi.slots().trace, &mut own, NMI), || operation(task, page)),
            cpu.softirq_everywhere(|bh| use_slot(cpu, bh.slots().bottom, &mut own, SOFTIRQ), || operation(task, page)),
        ];
        assert!(steps[0] > 0 && steps == [steps[0]; 3]);
    });
    assert_eq!(machine.peek(pfn), [SOFTIRQ; PAGE_SIZE]);
    check(machine);
}

fn handlers_come_at_each_step_of_a_mapping<P: Paging>() {
    let machine = machine::<P>();
    let mut page = machine.alloc(Zone::High);
    at_each_step(&machine, &mut page, |task, page| {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let mut mapped = kmap_atomic(slots.source.reborrow(), &mut *page);
        mapped.fill(TASK);
        drop(mapped);
        let mapped = kmap_atomic(slots.source, &*page);
        assert_eq!(mapped[..], [TASK; PAGE_SIZE]);
    });
    assert_eq!(machine.peek(page.pfn()), [TASK; PAGE_SIZE]);
}

fn handlers_come_at_each_step_of_a_read_only_mapping<P: Paging>() {
    let machine = machine::<P>();
    let mut page = machine.alloc(Zone::High);
    at_each_step(&machine, &mut page, |task, page| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        // Twice the same page, in two slots.
        let one = kmap_atomic(slots.source, &*page);
        let two = kmap_atomic(slots.target, &*page);
        assert_eq!((one[..].as_ref(), two[..].as_ref()), ([FRESH; PAGE_SIZE].as_ref(), [FRESH; PAGE_SIZE].as_ref()));
    });
}

fn handlers_come_at_each_step_of_an_explicit_unmap<P: Paging>() {
    let machine = machine::<P>();
    let mut page = machine.alloc(Zone::High);
    at_each_step(&machine, &mut page, |task, page| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().source, page);
        mapped.fill(TASK);
        let (slot, page) = kunmap_atomic(mapped);
        assert_eq!(kmap_atomic(slot, page)[..], [TASK; PAGE_SIZE]);
    });
}

fn handlers_come_at_each_step_of_a_copy<P: Paging>() {
    let machine = machine::<P>();
    let mut target = machine.alloc(Zone::High);
    let mut source = machine.alloc(Zone::High);
    let round = Cell::new(0);
    at_each_step(&machine, &mut target, |task, target| {
        round.set(round.get() ^ 0x55);
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        kmap_atomic(slots.source.reborrow(), &mut source).fill(round.get());
        let from = kmap_atomic(slots.source, &source);
        let mut to = kmap_atomic(slots.target.reborrow(), &mut *target);
        to.copy_from_slice(&*from);
        drop(to);
        assert_eq!(machine.peek(target.pfn()), [round.get(); PAGE_SIZE]);
    });
}

fn handlers_come_at_each_step_of_a_forgotten_guards_end<P: Paging>() {
    let machine = machine::<P>();
    let mut page = machine.alloc(Zone::High);
    let other = machine.alloc(Zone::High);
    at_each_step(&machine, &mut page, |task, page| {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        mem::forget(kmap_atomic(slots.source.reborrow(), &other));
        let mut mapped = kmap_atomic(slots.source, &mut *page);
        mapped.fill(TASK);
        assert_eq!(machine.peek(mapped.pfn()), [TASK; PAGE_SIZE]);
    });
    assert_eq!(machine.peek(other.pfn()), [FRESH; PAGE_SIZE]);
}

fn handlers_come_at_each_step_of_a_lowmem_mapping<P: Paging>() {
    let machine = machine::<P>();
    let mut page = machine.alloc(Zone::Low);
    at_each_step(&machine, &mut page, |task, page| {
        let mut atomic = task.atomic();
        kmap_atomic(atomic.slots().source, &mut *page).fill(TASK);
    });
    assert_eq!(machine.peek(page.pfn()), [TASK; PAGE_SIZE]);
}

fn handlers_come_at_each_step_of_a_batch<P: Paging>() {
    let machine = machine::<P>();
    let (mut page, mut other) = (machine.alloc(Zone::High), machine.alloc(Zone::Low));
    let frames = [page.pfn(), other.pfn()];
    at_each_step(&machine, &mut page, |task, page| {
        let mut atomic = task.atomic();
        let mut many = atomic.slots().many;
        let mut bytes = kmap_batch(many.reborrow(), [&mut *page, &mut other]).expect("there is room");
        bytes[..PAGE_SIZE].fill(TASK);
        bytes[PAGE_SIZE..].fill(TASK + 10);
        drop(bytes);
        // The other way round.
        let bytes = kmap_batch(many, [&other, &*page]).expect("there is room");
        assert_eq!([0, PAGE_SIZE - 1, PAGE_SIZE].map(|at| bytes[at]), [TASK + 10, TASK + 10, TASK]);
    });
    assert_eq!(frames.map(|frame| machine.peek(frame)), [[TASK; PAGE_SIZE], [TASK + 10; PAGE_SIZE]]);
}

fn handlers_come_at_each_step_of_a_batch_that_is_flushed_at_once<P: Paging>() {
    let machine = machine::<P>();
    let mut page = machine.alloc(Zone::High);
    let rest: Vec<_> = (0..36).map(|_| machine.alloc(Zone::High)).collect();
    at_each_step(&machine, &mut page, |task, page| {
        let mut atomic = task.atomic();
        let bytes = kmap_batch(atomic.slots().many, rest.iter().chain([&*page])).expect("there is room");
        assert!(bytes.iter().step_by(PAGE_SIZE).all(|&byte| byte == FRESH));
    });
}

fn handlers_come_at_each_step_of_a_forgotten_batchs_end<P: Paging>() {
    let machine = machine::<P>();
    let mut page = machine.alloc(Zone::High);
    let rest: Vec<_> = (0..4).map(|_| machine.alloc(Zone::High)).collect();
    at_each_step(&machine, &mut page, |task, page| {
        let mut atomic = task.atomic();
        let mut many = atomic.slots().many;
        // A larger one before, and a smaller one.
        for forgotten in [&rest[..], &rest[..1]] {
            mem::forget(kmap_batch(many.reborrow(), forgotten).expect("there is room"));
            let mut bytes = kmap_batch(many.reborrow(), [&mut *page]).expect("there is room");
            bytes.fill(TASK);
            assert!((1..5).all(|next| machine.translation(bytes.address() + next * PAGE_SIZE).is_none()));
        }
    });
    assert_eq!(machine.peek(page.pfn()), [TASK; PAGE_SIZE]);
    assert!(rest.iter().all(|page| machine.peek(page.pfn()) == [FRESH; PAGE_SIZE]));
}

/// Whoever has the batch finds it empty: a page of its own and a second one, each at its place, and nothing behind them.
fn use_batch<P: Paging>(
    machine: &Model<P>,
    mut batch: BatchSlot<'_, K<P>, km::Received>,
    pages: &mut [Frame<P>; 2],
    byte: u8,
) {
    for page in 0..2 {
        pages.swap(0, 1);
        let mut bytes = kmap_batch(batch.reborrow(), pages.iter_mut().take(page + 1)).expect("there is room");
        bytes.fill(byte);
        let behind = bytes.address() + bytes.len();
        assert!(machine.translation(behind).is_none(), "a page of somebody else's batch");
    }
}

fn a_handler_and_a_task_with_interrupts_off_share_a_batch<P: Paging>() {
    let machine = machine::<P>();
    let cpu = machine.cpu(0);
    let [mut own, mut pages] = [(); 2].map(|()| [(); 2].map(|()| machine.alloc(Zone::High)));
    cpu.task(|task| {
        cpu.interrupt_everywhere(
            |irq| use_batch(&machine, irq.slots().received, &mut own, IRQ),
            || {
                let mut atomic = task.atomic();
                let mut irqs_off = atomic.irqs_off();
                use_batch(&machine, irqs_off.slots().received, &mut pages, TASK);
                use_batch(&machine, irqs_off.slots().received, &mut pages, TASK);
            },
        );
    });
    assert_eq!(own.each_ref().map(|page| machine.peek(page.pfn())), [[IRQ; PAGE_SIZE]; 2]);
    assert_eq!(pages.each_ref().map(|page| machine.peek(page.pfn())), [[TASK; PAGE_SIZE]; 2]);
    check(&machine);
}

/// Linux had a race here in 2010: a slot was given back before it was clean, and an interrupt came in between.
fn a_handler_and_a_task_with_interrupts_off_share_a_slot<P: Paging>() {
    let machine = machine::<P>();
    let cpu = machine.cpu(0);
    let (mut own, mut page) = (machine.alloc(Zone::High), machine.alloc(Zone::High));
    let pfn = own.pfn();
    cpu.task(|task| {
        cpu.interrupt_everywhere(
            |irq| {
                use_slot(cpu, irq.slots().ring, &mut own, IRQ);
                assert_eq!(machine.peek(pfn), [IRQ; PAGE_SIZE], "the handler wrote to another page");
            },
            || {
                let mut atomic = task.atomic();
                let mut irqs_off = atomic.irqs_off();
                use_slot(cpu, irqs_off.slots().ring, &mut page, TASK);
                use_slot(cpu, irqs_off.slots().ring, &mut page, TASK);
            },
        );
    });
    assert_eq!(machine.peek(page.pfn()), [TASK; PAGE_SIZE]);
    check(&machine);
}

fn a_softirq_and_a_task_with_softirqs_off_share_a_slot<P: Paging>() {
    let machine = machine::<P>();
    let cpu = machine.cpu(0);
    let (mut own, mut page) = (machine.alloc(Zone::High), machine.alloc(Zone::High));
    let pfn = own.pfn();
    cpu.task(|task| {
        cpu.softirq_everywhere(
            |softirq| {
                use_slot(cpu, softirq.slots().bottom, &mut own, SOFTIRQ);
                assert_eq!(machine.peek(pfn), [SOFTIRQ; PAGE_SIZE], "the softirq wrote to another page");
            },
            || {
                let mut atomic = task.atomic();
                let mut bh_off = atomic.bh_off();
                use_slot(cpu, bh_off.slots().bottom, &mut page, TASK);
                use_slot(cpu, bh_off.slots().bottom, &mut page, TASK);
            },
        );
    });
    assert_eq!(machine.peek(page.pfn()), [TASK; PAGE_SIZE]);
    check(&machine);
}

/// A handler that has interrupts on again for a time is interrupted there, and nowhere else.
fn nested_handlers_share_a_slot<P: Paging>() {
    let machine = machine::<P>();
    let cpu = machine.cpu(0);
    let (mut own, mut page) = (machine.alloc(Zone::High), machine.alloc(Zone::High));
    cpu.task(|_| {
        cpu.interrupt_everywhere(
            |irq| use_slot(cpu, irq.slots().ring, &mut own, IRQ),
            || {
                cpu.interrupt_now(|irq| {
                    use_slot(cpu, irq.slots().ring, &mut page, TASK);
                    irq.with_irqs_on(|| ());
                    use_slot(cpu, irq.slots().ring, &mut page, TASK);
                });
            },
        );
    });
    assert_eq!(machine.peek(page.pfn()), [TASK; PAGE_SIZE]);
    check(&machine);
}

/// Each thing that is counted is a step, and so is what a context begins and ends with.
fn steps_are_what_is_asked_of_the_processor<P: Paging>() {
    let machine = machine::<P>();
    let cpu = machine.cpu(0);
    let page = machine.alloc(Zone::High);
    cpu.task(|task| {
        let (mut came, all) = (0, Cell::new(Counts::default()));
        let steps = cpu.interrupt_everywhere(
            |_| came += 1,
            || {
                let ((), counts) = cpu.count(|| drop(kmap_atomic(task.atomic().slots().source, &page)));
                all.set(counts);
            },
        );
        let Counts { loads, stores, invlpg, barriers, .. } = all.get();
        assert_eq!(steps, loads + stores + invlpg + barriers + 2, "and preemption off and on");
        assert_eq!(came, steps + 2, "before each, after the last, and once to count them");
    });
}

/// Before the step itself, or where interrupts are on again; or not at all.
fn a_handler_comes_once_at_the_step_that_is_asked_for<P: Paging>() {
    let machine = machine::<P>();
    let cpu = machine.cpu(0);
    let page = machine.alloc(Zone::High);
    cpu.task(|task| {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        for at in 0..2 {
            let (came, mapped) = (Cell::new(0), Cell::new(Counts::default()));
            let operation = || mapped.set(cpu.count(|| drop(kmap_atomic(slots.source.reborrow(), &page))).1);
            assert!(cpu.nmi_at(
                at,
                |nmi| came.set(came.get() + cpu.count(|| drop(kmap_atomic(nmi.slots().trace, &page))).1.stores),
                operation
            ));
            assert_eq!(
                (came.get(), mapped.get().stores),
                (2 * words_per_entry::<P>(), 4 * words_per_entry::<P>()),
                "within"
            );
        }
        let (came, off) = (Cell::new(false), Cell::new(false));
        assert!(cpu.interrupt_at(
            0,
            |_| came.set(true),
            || {
                drop(slots.deeper.irqs_off());
                off.set(came.get());
            },
        ));
        assert!(off.get(), "as soon as interrupts are on");
        let irqs_off = slots.deeper.irqs_off();
        assert!(!cpu.softirq_at(usize::MAX, |_| unreachable!("interrupts are off"), || ()));
        drop(irqs_off);
    });
    check(&machine);
}
