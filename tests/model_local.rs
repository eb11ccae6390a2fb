//! Local maps stay what they are, whatever ends before them, interrupts, or runs on their CPU meanwhile.

mod model;

use std::cell::{Cell, RefCell};
use std::mem;

use highmem::local::{Depth, InIrq, InTask, Local, WriteBack};
use highmem::model::{Config, Cpu, Frame, Machine, ModelKernel, Zone};
use highmem::page::ReadOnly;
use highmem::paging::Paging;
use highmem::{
    LocalKernel, PAGE_SIZE, Page, Pfn, Task, clear_highpage, copy_highpage, debug, kmap_atomic, kmap_local_page,
    kmap_local_pfn, kunmap_local, linux, local,
};
use model::in_each_mode;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use typenum::{U0, U1, U2, U3, U4, U5, U6, U7, U8};

type K<P> = ModelKernel<P>;

in_each_mode!(
    maps_may_end_in_any_order,
    threads_and_handlers_come_at_each_step,
    handlers_come_at_each_step_of_a_switch,
    a_switch_without_maps_asks_for_nothing,
    forgotten_guards_are_found,
    a_thread_that_goes_on_elsewhere_is_reported,
    a_forgotten_pin_goes_with_its_thread,
    each_context_has_slots_of_its_own,
    helpers_take_local_slots,
    a_frame_of_which_there_is_only_the_number,
    random_nestings_do_what_the_account_says,
);

fn machine<P: Paging>() -> Machine<P> {
    // With forgotten guards on purpose, the feature `debug` has something to report.
    Machine::with(Config { panic_on_report: false, ..Config::default() })
}

/// Nothing is left: no mapping, no translation, no wrong byte.
fn check<P: Paging>(machine: &Machine<P>) {
    assert_eq!(debug::mappings::<K<P>>().count(), 0, "a slot is not empty");
    assert_eq!(machine.stale(), [], "a translation is still cached");
    assert_eq!(machine.faults(), []);
}

/// Three pages, one under the other; the first ends first, and another is mapped in its slot while the others live.
fn nest<P: Paging>(task: &mut Task<'_, K<P>>, pages: &mut [Frame<P>; 4], byte: u8) {
    let [a, b, c, d] = pages;
    let mut pinned = task.pinned();
    let (mut local, _) = pinned.local();
    let (mut a, mut local) = kmap_local_page(&mut local, a);
    a.fill(byte);
    let (mut b, mut local) = kmap_local_page(&mut local, b);
    b.fill(byte + 1);
    let (mut c, _) = kmap_local_page(&mut local, c);
    c.fill(byte + 2);
    assert_eq!(a[..], [byte; PAGE_SIZE]);
    let (slot, _) = kunmap_local(a);
    let mut d = kmap_atomic(slot, d);
    d.fill(byte + 3);
    assert_eq!(b[..], [byte + 1; PAGE_SIZE]);
    drop(b);
    assert_eq!(c[..], [byte + 2; PAGE_SIZE]);
    assert_eq!(d[..], [byte + 3; PAGE_SIZE]);
    drop(d);
    c[0] = byte + 2;
}

fn four<P: Paging>(machine: &Machine<P>) -> [Frame<P>; 4] {
    [(); 4].map(|()| machine.alloc(Zone::High))
}

fn assert_bytes<P: Paging>(machine: &Machine<P>, pages: &[Frame<P>; 4], byte: u8) {
    for (page, byte) in pages.iter().zip(byte..) {
        assert_eq!(machine.peek(page.pfn()), [byte; PAGE_SIZE]);
    }
}

fn maps_may_end_in_any_order<P: Paging>() {
    let machine = machine::<P>();
    let mut pages = four(&machine);
    machine.cpu(0).task(|task| nest(task, &mut pages, 1));
    assert_bytes(&machine, &pages, 1);
    check(&machine);
}

fn threads_and_handlers_come_at_each_step<P: Paging>() {
    let machine = machine::<P>();
    // From the other end of high memory: both halves of their entries are different, where there are two.
    let mut others = [0x2000, 0x2001, 0x2002, 0x2003].map(|pfn| machine.alloc_at(Pfn::new(pfn).unwrap()));
    let (cpu, mut pages) = (machine.cpu(0), four(&machine));
    let round = Cell::new(0_u8);
    // Other bytes each time, so that those of the last time are wrong.
    let next = |from: u8| {
        round.set((round.get() + 4) % 100);
        from + round.get()
    };
    cpu.task(|task| {
        let mut own = |task: &mut Task<'_, K<P>>| {
            let byte = next(1);
            nest(task, &mut pages, byte);
            assert_bytes(&machine, &pages, byte);
        };
        let steps = [
            cpu.switch_everywhere(
                |task| {
                    let byte = next(101);
                    nest(task, &mut others, byte);
                    assert_bytes(&machine, &others, byte);
                },
                || own(task),
            ),
            cpu.interrupt_everywhere(
                |irq| {
                    let byte = next(101);
                    let (mut local, _) = irq.local();
                    let [a, b, ..] = &mut others;
                    let (mut a, mut local) = kmap_local_page(&mut local, a);
                    let (mut b, _) = kmap_local_page(&mut local, b);
                    a.fill(byte);
                    b.fill(byte + 1);
                    drop(a);
                    assert_eq!(b[..], [byte + 1; PAGE_SIZE]);
                    drop(b);
                    assert_eq!(machine.peek(others[0].pfn()), [byte; PAGE_SIZE]);
                },
                || own(task),
            ),
        ];
        assert!(steps[0] > 20 && steps[0] == steps[1]);
    });
    check(&machine);
}

fn handlers_come_at_each_step_of_a_switch<P: Paging>() {
    let machine = machine::<P>();
    let (cpu, mut pages, mut others) = (machine.cpu(0), four(&machine), four(&machine));
    let mut own = machine.alloc(Zone::High);
    cpu.task(|task| {
        let [a, b, ..] = &mut pages;
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (mut a, mut local) = kmap_local_page(&mut local, a);
        let (mut b, _) = kmap_local_page(&mut local, b);
        a.fill(1);
        b.fill(2);
        let verify = |who: &str| {
            assert_eq!(a[..], [1; PAGE_SIZE], "after {who}");
            assert_eq!(b[..], [2; PAGE_SIZE], "after {who}");
        };
        let steps = cpu.interrupt_everywhere(
            |irq| {
                let (mut local, slots) = irq.local();
                kmap_local_page(&mut local, &mut own).0.fill(21);
                clear_highpage(slots.irq0, &mut own);
            },
            || {
                cpu.switch_now(|task| nest(task, &mut others, 11));
                verify("a switch");
            },
        );
        assert!(steps > 40);
        cpu.nmi_everywhere(
            |nmi| kmap_local_page(&mut nmi.local().0, &mut own).0.fill(31),
            || cpu.switch_now(|task| nest(task, &mut others, 11)),
        );
        verify("an NMI");
    });
    assert_bytes(&machine, &others, 11);
    assert_eq!(machine.peek(own.pfn()), [31; PAGE_SIZE]);
    check(&machine);
}

fn a_switch_without_maps_asks_for_nothing<P: Paging>() {
    let machine = machine::<P>();
    let (cpu, mut page) = (machine.cpu(0), machine.alloc(Zone::High));
    cpu.task(|task| {
        let ((), counts) = cpu.count(|| cpu.switch_now(|_| ()));
        assert_eq!(counts, Default::default(), "nobody has local maps");
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (_page, _) = kmap_local_page(&mut local, &mut page);
        let ((), counts) = cpu.count(|| cpu.switch_now(|_| ()));
        assert_eq!(counts.invlpg, 1, "what is mapped is flushed, and nothing else");
    });
    check(&machine);
}

fn forgotten_guards_are_found<P: Paging>() {
    let machine = machine::<P>();
    let (cpu, mut pages) = (machine.cpu(0), four(&machine));
    cpu.task(|task| {
        let [a, b, c, d] = &mut pages;
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        mem::forget(kmap_local_page(&mut local, &mut *a).0);
        // What was forgotten is switched out and in as if it were not.
        cpu.switch_now(|task| {
            let mut pinned = task.pinned();
            let (mut local, _) = pinned.local();
            let (mut b, _) = kmap_local_page(&mut local, &mut *b);
            b.fill(2);
            assert_eq!(b[..], [2; PAGE_SIZE]);
            drop(b);
            // It is here when the other goes on.
            mem::forget(kmap_local_page(&mut local, &mut *d).0);
        });
        let (mut again, mut local) = kmap_local_page(&mut local, &mut *a);
        again.fill(1);
        let (mut c, _) = kmap_local_page(&mut local, &mut *c);
        c.fill(3);
        cpu.switch_now(|task| {
            let mut pinned = task.pinned();
            mem::forget(kmap_local_page(&mut pinned.local().0, &mut *d).0);
        });
        assert_eq!(again[..], [1; PAGE_SIZE]);
        assert_eq!(c[..], [3; PAGE_SIZE]);
    });
    let reports = machine.reports().len();
    assert_eq!(reports > 0, cfg!(feature = "debug"), "the checks see what was forgotten");
    // What is left is unmapped by the next that maps there.
    cpu.task(|task| nest(task, &mut pages, 1));
    assert_bytes(&machine, &pages, 1);
    check(&machine);
}

fn a_thread_that_goes_on_elsewhere_is_reported<P: Paging>() {
    let machine = machine::<P>();
    let page = machine.alloc(Zone::High);
    machine.cpu(0).task(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (page, _) = kmap_local_page(&mut local, &page);
        // SAFETY: the area of this thread, which is here until the end.
        let area = unsafe { <K<P> as LocalKernel>::save_area().as_ref() };
        assert_eq!(area.pinned_to(), Some(0));
        // SAFETY: the thread is out while the other runs, which is no thread of its own, but that has no local maps. That it comes in on
        // another CPU is what is tested.
        unsafe {
            local::switch_out::<K<P>>(area);
            std::thread::scope(|scope| {
                let elsewhere = || {
                    machine.cpu(1).task(|_| {
                        local::switch_in::<K<P>>(area);
                        local::switch_out::<K<P>>(area);
                    });
                };
                scope.spawn(elsewhere).join().unwrap();
            });
            assert_eq!(area.pinned_to(), Some(1));
            local::switch_in::<K<P>>(area);
        }
        assert_eq!(page[..], [highmem::model::FRESH; PAGE_SIZE]);
    });
    let reports = machine.reports();
    let moves =
        [(0, 1), (1, 0)].map(|(from, to)| format!("a thread has local maps on CPU {from}, and goes on on CPU {to}"));
    assert_eq!(reports, if cfg!(feature = "debug") { &moves[..] } else { &[] });
    check(&machine);
}

fn a_forgotten_pin_goes_with_its_thread<P: Paging>() {
    let machine = machine::<P>();
    let (cpu, mut pages, mut others) = (machine.cpu(0), four(&machine), four(&machine));
    cpu.task(|task| {
        let mut page = machine.alloc(Zone::High);
        cpu.switch_now(|task| {
            let mut pinned = task.pinned();
            mem::forget(kmap_local_page(&mut pinned.local().0, &mut page).0);
            mem::forget(pinned);
        });
        assert_eq!(debug::mappings::<K<P>>().count(), 0, "the thread's maps are off this CPU");
        nest(task, &mut pages, 1);
        mem::forget(task.pinned());
        // This thread is still pinned: it is switched out and in as before.
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (mut page, _) = kmap_local_page(&mut local, &mut page);
        page.fill(9);
        cpu.switch_now(|task| nest(task, &mut others, 11));
        assert_eq!(page[..], [9; PAGE_SIZE]);
    });
    check(&machine);
}

fn each_context_has_slots_of_its_own<P: Paging>() {
    let machine = machine::<P>();
    let (cpu, pages) = (machine.cpu(0), four(&machine));
    let (other, [a, b, c, d]) = (machine.alloc(Zone::High), &pages);
    cpu.task(|task| {
        let mut pinned = task.pinned();
        let (mut local, task) = pinned.local();
        let (a, _) = kmap_local_page(&mut local, a);
        let mut atomic = task.atomic();
        let (mut local, mut slots) = atomic.local();
        let (b, _) = kmap_local_page(&mut local, b);
        let named = kmap_atomic(slots.user0, b.page());
        let mut bh_off = slots.deeper.bh_off();
        let (mut local, mut slots) = bh_off.local();
        let (c, _) = kmap_local_page(&mut local, c);
        let mut irqs_off = slots.deeper.irqs_off();
        let (mut local, _) = irqs_off.local();
        let (d, _) = kmap_local_page(&mut local, d);
        cpu.nmi_now(|nmi| {
            let (mut local, _) = nmi.local();
            let (e, _) = kmap_local_page(&mut local, &other);
            let mut addresses = [a.address(), b.address(), named.address(), c.address(), d.address(), e.address()];
            addresses.sort_unstable();
            assert!(addresses.windows(2).all(|pair| pair[0] < pair[1]), "two have one slot");
            assert_eq!(debug::mappings::<K<P>>().count(), 6);
            let names: Vec<_> = debug::mappings::<K<P>>().map(|mapping| mapping.slot).collect();
            assert_eq!(
                names,
                ["User0", "LocalInTask0", "LocalInAtomic0", "LocalInSoftirq0", "LocalInIrq0", "LocalInNmi0"]
            );
        });
    });
    check(&machine);
}

fn helpers_take_local_slots<P: Paging>() {
    let machine = machine::<P>();
    let (mut from, mut to) = (machine.alloc(Zone::High), machine.alloc(Zone::High));
    machine.cpu(0).task(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        highmem::memset_page(local.slot(), &mut from, 0, 7, PAGE_SIZE).unwrap();
        let (slot, mut local) = local.split();
        copy_highpage(slot, &mut to, local.slot(), &from);
        let mut walk = highmem::ops::Cursor::over(local.slot(), machine.alloc_run(Zone::High, 2.try_into().unwrap()));
        embedded_io::Write::write(&mut walk, &[1; PAGE_SIZE]).unwrap();
    });
    assert_eq!(machine.peek(to.pfn()), [7; PAGE_SIZE]);
    check(&machine);
}

fn a_frame_of_which_there_is_only_the_number<P: Paging>() {
    let machine = machine::<P>();
    let page = machine.alloc(Zone::High);
    machine.cpu(0).task(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        // SAFETY: nobody else uses the frame.
        let (mapped, _) = unsafe { kmap_local_pfn::<ReadOnly, WriteBack, _, _, _>(&mut local, page.pfn()) };
        let translation = machine.translation(mapped.address()).unwrap();
        assert_eq!((translation.pfn as usize, translation.writable), (page.pfn().number(), false));
        assert_eq!(mapped[..], [highmem::model::FRESH; PAGE_SIZE]);
    });
    check(&machine);
}

/// What a thread or a handler does; each mapping that ends is looked at first.
#[derive(Clone, Debug)]
enum Step {
    /// Maps a page at the next depth for as long as these last, unless it is ended before.
    Map(Vec<Step>),
    /// Writes a byte to the page that was mapped so many before.
    Write(usize, u8),
    /// Ends the mapping that was made so many before.
    Unmap(usize),
    /// Another thread runs.
    Switch(Vec<Step>),
    Interrupt(Vec<Step>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![
        (0..8_usize, any::<u8>()).prop_map(|(back, byte)| Step::Write(back, byte)),
        (0..8_usize).prop_map(Step::Unmap),
    ];
    let step = leaf.prop_recursive(10, 60, 5, |inner| {
        let steps = || prop::collection::vec(inner.clone(), 0..5);
        prop_oneof![
            4 => (0..5_usize, steps()).prop_map(|(above, steps)| (0..above).fold(Step::Map(steps), |inner, _| Step::Map(vec![inner]))),
            2 => steps().prop_map(Step::Switch),
            1 => steps().prop_map(Step::Interrupt),
            1 => (0..8_usize, any::<u8>()).prop_map(|(back, byte)| Step::Write(back, byte)),
        ]
    });
    prop::collection::vec(step, 1..6)
}

/// A mapping, and the byte that its page is full of.
trait Mapping {
    fn write(&self, byte: u8);
    fn check(&self);
    fn end(&self);
}

struct Live<'a, P, G>(RefCell<Option<G>>, Cell<u8>, &'a RefCell<Vec<(Frame<P>, u8)>>, fn(G) -> Frame<P>);

impl<P, G: std::ops::DerefMut<Target = [u8; PAGE_SIZE]>> Mapping for Live<'_, P, G> {
    fn write(&self, byte: u8) {
        if let Some(guard) = &mut *self.0.borrow_mut() {
            guard.fill(byte);
            self.1.set(byte);
        }
    }

    fn check(&self) {
        if let Some(guard) = &*self.0.borrow() {
            assert_eq!(guard[..], [self.1.get(); PAGE_SIZE]);
        }
    }

    fn end(&self) {
        self.check();
        if let Some(guard) = self.0.take() {
            self.2.borrow_mut().push(((self.3)(guard), self.1.get()));
        }
    }
}

/// The mappings of a context, and of those that it interrupts: the last one first.
#[derive(Clone, Copy)]
struct Chain<'a> {
    own: &'a dyn Mapping,
    before: Option<&'a Chain<'a>>,
}

fn each<'a>(last: Option<&'a Chain<'a>>) -> impl Iterator<Item = &'a dyn Mapping> {
    std::iter::successors(last, |live| live.before).map(|live| live.own)
}

struct World<'a, P: Paging> {
    cpu: Cpu<'a, P, linux::Set, false>,
    pages: &'a RefCell<Vec<(Frame<P>, u8)>>,
    deepest: Cell<usize>,
    switches: Cell<usize>,
}

/// A depth at which steps can be run.
trait Runs<P: Paging, L>: Depth {
    fn run(world: &World<'_, P>, local: Local<'_, K<P>, L, Self>, steps: &[Step], live: Option<&Chain<'_>>);
}

fn run_other<P: Paging>(world: &World<'_, P>, step: &Step, live: Option<&Chain<'_>>, in_task: bool) {
    match step {
        Step::Write(back, byte) => each(live).nth(*back).into_iter().for_each(|mapping| mapping.write(*byte)),
        Step::Unmap(back) => each(live).nth(*back).into_iter().for_each(|mapping| mapping.end()),
        Step::Switch(steps) if in_task => {
            world.switches.set(world.switches.get() + 1);
            world.cpu.switch_now(|task| task_runs(world, task, steps));
        }
        Step::Interrupt(steps) if in_task => world.cpu.interrupt_now(|irq| {
            <U0 as Runs<P, InIrq>>::run(world, irq.local().0, steps, live);
        }),
        _ => {}
    }
    each(live).for_each(|mapping| mapping.check());
}

fn task_runs<P: Paging>(world: &World<'_, P>, task: &mut Task<'_, K<P>>, steps: &[Step]) {
    let mut pinned = task.pinned();
    <U0 as Runs<P, InTask>>::run(world, pinned.local().0, steps, None);
}

macro_rules! runs {
    ($L:ident in_task $in_task:literal: $($D:ident)* | $Last:ident) => {
        $(impl<P: Paging> Runs<P, $L> for $D {
            fn run(
                world: &World<'_, P>,
                mut local: Local<'_, K<P>, $L, $D>,
                steps: &[Step],
                live: Option<&Chain<'_>>,
            ) {
                for step in steps {
                    let Step::Map(steps) = step else {
                        run_other(world, step, live, $in_task);
                        continue;
                    };
                    let Some((page, byte)) = world.pages.borrow_mut().pop() else { continue };
                    let (guard, local) = kmap_local_page(&mut local, page);
                    let own = Live(RefCell::new(Some(guard)), Cell::new(byte), world.pages, |guard| kunmap_local(guard).1);
                    own.check();
                    world.deepest.set(world.deepest.get().max(<$D as typenum::Unsigned>::USIZE + 1));
                    Runs::run(world, local, steps, Some(&Chain { own: &own, before: live }));
                    own.end();
                }
            }
        })*

        impl<P: Paging> Runs<P, $L> for $Last {
            fn run(
                world: &World<'_, P>,
                _: Local<'_, K<P>, $L, $Last>,
                steps: &[Step],
                live: Option<&Chain<'_>>,
            ) {
                steps.iter().for_each(|step| run_other(world, step, live, $in_task));
            }
        }
    };
}

runs!(InTask in_task true: U0 U1 U2 U3 U4 U5 U6 U7 | U8);
runs!(InIrq in_task false: U0 U1 U2 U3 | U4);

fn random_nestings_do_what_the_account_says<P: Paging>()
where
    K<P>: LocalKernel,
{
    let (deepest, switches) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new_with_rng(
        Cases { cases: 300, failure_persistence: None, ..Cases::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let run = runner.run(&steps(), |steps| {
        let machine = machine::<P>();
        let pages = (0..24).map(|_| (machine.alloc(Zone::High), highmem::model::FRESH)).collect();
        let pages = RefCell::new(pages);
        let world = World { cpu: machine.cpu(0), pages: &pages, deepest: Cell::new(0), switches: Cell::new(0) };
        machine.cpu(0).task(|task| task_runs(&world, task, &steps));
        deepest.set(deepest.get().max(world.deepest.get()));
        switches.set(switches.get() + world.switches.get());
        assert_eq!(pages.borrow().len(), 24);
        for (page, byte) in &*pages.borrow() {
            assert_eq!(machine.peek(page.pfn()), [*byte; PAGE_SIZE]);
        }
        check(&machine);
        Ok(())
    });
    run.unwrap();
    assert!(deepest.get() == 8 && switches.get() > 100, "{deepest:?} {switches:?}");
}

/// The slots of local maps have unmapped pages on both sides, as those with names have.
#[cfg(feature = "debug")]
#[test]
fn a_run_over_the_end_of_a_page_is_a_fault() {
    use highmem::model::What;
    use highmem::paging::Pae;

    let machine = machine::<Pae>();
    let mut pages = four(&machine);
    let [a, b, c, _] = &mut pages;
    machine.cpu(0).task(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (_a, mut local) = kmap_local_page(&mut local, a);
        let (b, mut local) = kmap_local_page(&mut local, b);
        let (_c, _) = kmap_local_page(&mut local, c);
        for address in [b.address() - 1, b.address() + PAGE_SIZE] {
            // SAFETY: the model answers for the address: by a fault, which is looked at below.
            unsafe { std::ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(1) };
        }
        let faults: Vec<_> = machine.faults().iter().map(|fault| (fault.what, fault.slot)).collect();
        assert_eq!(faults, [(What::Write, None); 2], "neither page is that of another depth");
    });
}
