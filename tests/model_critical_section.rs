//! The implementation of the crate `critical-section` that `docs/other-crates.md` shows, on the model.

use std::cell::Cell;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use critical_section::Mutex;
use highmem::kmap_atomic;
use highmem::model::{Machine, ModelKernel, Zone};

type K = ModelKernel;

mod section {
    use super::K;

    // section.rs: interrupts off on this CPU, and a lock for the others
    use core::sync::atomic::AtomicUsize;
    use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

    use critical_section::{Impl, RawRestoreState, set_impl};
    use highmem::Kernel;

    struct Section;
    set_impl!(Section);

    /// The CPU that is in a section.
    static OWNER: AtomicUsize = AtomicUsize::new(NOBODY);
    const NOBODY: usize = usize::MAX;

    const WERE_ON: u8 = 1;
    const NESTED: u8 = 2;

    // SAFETY: with interrupts off nobody else runs on this CPU, and the lock keeps the other CPUs out. NMIs use no sections.
    unsafe impl Impl for Section {
        unsafe fn acquire() -> RawRestoreState {
            let were_on = if K::irq_save() { WERE_ON } else { 0 };
            let this = K::cpu();
            if OWNER.load(Relaxed) == this {
                return were_on | NESTED;
            }
            while OWNER.compare_exchange_weak(NOBODY, this, Acquire, Relaxed).is_err() {
                core::hint::spin_loop();
            }
            were_on
        }

        unsafe fn release(state: RawRestoreState) {
            if state & NESTED == 0 {
                OWNER.store(NOBODY, Release);
            }
            // SAFETY: what the matching `acquire` found.
            unsafe { K::irq_restore(state & WERE_ON != 0) };
        }
    }
}

/// Two numbers that are always the same, for whoever is in a section.
static TWINS: Mutex<(Cell<u64>, Cell<u64>)> = Mutex::new((Cell::new(0), Cell::new(0)));

/// Counts both, the second one in a section within.
fn count() -> u64 {
    critical_section::with(|section| {
        let (first, second) = TWINS.borrow(section);
        assert_eq!(first.get(), second.get());
        first.set(first.get() + 1);
        critical_section::with(|_| second.set(second.get() + 1));
        first.get()
    })
}

/// The tests share the section's lock, and CPUs of two machines have the same numbers.
static ONE_MACHINE: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn cpus_and_handlers_keep_out_of_each_others_sections() {
    const EACH: u64 = 2000;
    let _alone = ONE_MACHINE.lock();
    let machine = Machine::new();
    let before = machine.cpu(0).task(|_| count());
    thread::scope(|scope| {
        for cpu in 0..machine.cpus() {
            let cpu = machine.cpu(cpu);
            scope.spawn(move || {
                cpu.task(|_| {
                    for _ in 0..EACH {
                        cpu.interrupt(|_| {
                            count();
                        });
                        count();
                    }
                });
            });
        }
    });
    let after = machine.cpu(0).task(|_| count());
    assert_eq!(after - before, 1 + 2 * EACH * machine.cpus() as u64);
}

#[test]
fn an_interrupt_waits_for_the_outermost_section() {
    let _alone = ONE_MACHINE.lock();
    let machine = Machine::new();
    let cpu = machine.cpu(0);
    cpu.task(|_| {
        static CAME: Mutex<Cell<bool>> = Mutex::new(Cell::new(false));
        critical_section::with(|section| {
            cpu.interrupt(|_| critical_section::with(|section| CAME.borrow(section).set(true)));
            critical_section::with(|_| ());
            count();
            assert!(!CAME.borrow(section).get(), "in the section");
        });
        assert!(critical_section::with(|section| CAME.borrow(section).get()), "behind it");
    });
}

#[test]
fn the_end_of_a_section_within_does_not_let_other_cpus_in() {
    let _alone = ONE_MACHINE.lock();
    let machine = Machine::new();
    let other = machine.cpu(1);
    let is_in = AtomicBool::new(false);
    thread::scope(|scope| {
        machine.cpu(0).task(|_| {
            critical_section::with(|_| {
                critical_section::with(|_| ());
                scope.spawn(|| other.task(|_| critical_section::with(|_| is_in.store(true, Relaxed))));
                thread::sleep(Duration::from_millis(50));
                assert!(!is_in.load(Relaxed), "two CPUs in a section");
            });
        });
    });
    assert!(is_in.load(Relaxed));
}

#[test]
fn the_context_comes_first_and_the_section_within() {
    let _alone = ONE_MACHINE.lock();
    let machine = Machine::new();
    let mut page = machine.alloc(Zone::High);
    machine.cpu(0).task(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        mapped[0] = critical_section::with(|section| TWINS.borrow(section).0.get() as u8 | 1);
        assert_ne!(mapped[0], 0);
    });
    assert!(machine.stale().is_empty());
}

/// The text between two lines of a file, without what it is indented by.
fn part<'t>(text: &'t str, from: &str, to: &str) -> Vec<&'t str> {
    let lines = text.lines().map(str::trim_start).skip_while(|line| *line != from);
    lines.take_while(|line| *line != to).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_page_shows_this_code() {
    const FIRST: &str = "// section.rs: interrupts off on this CPU, and a lock for the others";
    let mut here = part(
        include_str!("model_critical_section.rs"),
        FIRST,
        "/// Two numbers that are always the same, for whoever is in a section.",
    );
    assert_eq!(here.pop(), Some("}"), "the end of the module");
    assert!(here.len() > 30);
    assert_eq!(part(include_str!("../docs/other-crates.md"), FIRST, "```"), here);
}
