//! Each report, provoked.

use core::mem;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::paging::Pae;
use crate::test_kernel::{CPU, OwnTables, REPORTS, STATE, TestKernel};
use crate::{Frame, Pfn, Slot, Task, kmap_atomic};

type K = TestKernel<false>;

const HIGH: u64 = 0x14_0000;

fn frame() -> Frame<Pae> {
    // SAFETY: I5: exists only as a number.
    unsafe { Frame::from_pfn(Pfn::new(HIGH).unwrap()) }
}

fn map<S: KmType<Set = crate::linux::Set>>(slot: Slot<'_, K, S>) {
    drop(kmap_atomic(slot, frame()));
}

/// What `f` had reported to the kernel.
fn reports(f: impl FnOnce()) -> Vec<String> {
    REPORTS.take();
    f();
    REPORTS.take()
}

fn task(f: impl FnOnce(&mut Task<'_, K>)) {
    // SAFETY: I1: each test is a thread, and enters once at a time. Where the test is about a lie, nothing is interrupted.
    unsafe { Task::enter(f) }
}

fn state(serving: Serving, [preemption_off, softirqs_off, interrupts_off]: [bool; 3]) -> State {
    State { serving, preemption_off, softirqs_off, interrupts_off }
}

#[test]
fn what_a_state_allows() {
    use Group::*;
    let allowed = |state: State| [PreemptionOff, SoftirqsOff, InterruptsOff, InNmi].map(|group| state.allows(group));
    assert_eq!(allowed(state(Serving::Thread, [false, false, false])), [false, false, false, false]);
    assert_eq!(allowed(state(Serving::Thread, [true, false, false])), [true, false, false, false]);
    assert_eq!(allowed(state(Serving::Thread, [true, true, false])), [true, true, false, false]);
    assert_eq!(allowed(state(Serving::Thread, [true, true, true])), [true, true, true, false]);
    assert_eq!(allowed(state(Serving::SoftirqHandler, [true, true, false])), [false, true, false, false]);
    assert_eq!(allowed(state(Serving::SoftirqHandler, [true, true, true])), [false, true, true, false]);
    assert_eq!(allowed(state(Serving::InterruptHandler, [true, true, true])), [false, false, true, false]);
    assert_eq!(allowed(state(Serving::InterruptHandler, [true, true, false])), [false, false, false, false]);
    assert_eq!(allowed(state(Serving::NmiHandler, [true, true, true])), [false, false, false, true]);
}

#[test]
fn mappings_of_a_cpu_with_its_own_tables_are_its_own() {
    type Own = TestKernel<false, crate::linux::Set, OwnTables>;
    CPU.set(1);
    // SAFETY: I1: each test is a thread, and enters once at a time.
    unsafe {
        Task::<Own>::enter(|task| {
            let mut atomic = task.atomic();
            let guard = kmap_atomic(atomic.slots().user0, frame());
            let found: Vec<_> = mappings::<Own>().map(|found| (found.cpu, found.slot, found.address)).collect();
            assert_eq!(found, [(1, "User0", guard.address())]);
        });
    }
    CPU.set(0);
}

#[test]
fn mappings_are_listed_slot_by_slot() {
    task(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let read_only = frame();
        let one = kmap_atomic(slots.user1, &read_only);
        let two = kmap_atomic(slots.pte0, frame());
        let list: Vec<Mapping> = mappings::<K>().collect();
        let expected = [("User1", one.address(), false), ("Pte0", two.address(), true)];
        assert_eq!(list.iter().map(|found| (found.slot, found.address, found.writable)).collect::<Vec<_>>(), expected);
        assert!(list.iter().all(|found| found.cpu == 0 && found.pfn as u64 == HIGH));
        let text = list[0].to_string();
        assert!(
            text.starts_with(&std::format!("slot User1 on CPU 0: {:#x} is pfn 0x140000, read only", one.address()))
        );
    });
    assert_eq!(mappings::<K>().count(), 0);
}

#[test]
fn another_cpus_mappings_are_listed_with_its_number() {
    CPU.set(1);
    task(|task| {
        let mut atomic = task.atomic();
        let _guard = kmap_atomic(atomic.slots().user0, frame());
        CPU.set(0);
        assert_eq!(mappings::<K>().map(|found| found.cpu).collect::<Vec<_>>(), [1]);
        CPU.set(1);
    });
}

#[cfg(not(feature = "debug"))]
#[test]
fn without_the_feature_nothing_is_checked() {
    STATE.set(Some(state(Serving::NmiHandler, [false; 3])));
    let reports = reports(|| {
        task(|task| {
            let mut atomic = task.atomic();
            mem::forget(kmap_atomic(atomic.slots().user0, frame()));
            map(atomic.slots().user0);
        });
    });
    assert_eq!(reports, [""; 0]);
    let (_, second) = crate::fixmap::slots_of_cpu::<K>(0).nth(1).unwrap();
    assert_eq!(second, crate::test_kernel::FIXMAP_BASE + crate::PAGE_SIZE, "no fence between two slots");
}

/// What only the feature does.
#[cfg(feature = "debug")]
mod on {
    use super::*;
    use crate::fixmap::slots_of_cpu;
    use crate::machine::recorder::{IDENTITY, INTERRUPTS_ON};
    use crate::test_kernel::{FIXMAP_BASE, page};
    use crate::{HardIrq, Nmi, PAGE_SIZE, Softirq};

    /// The line of this file that a report names must be the one where the marked call is.
    macro_rules! here {
        ($line:expr) => {
            std::format!("{}:{}:", file!(), $line)
        };
    }

    #[test]
    fn right_contexts_are_not_reported() {
        let reports = reports(|| {
            task(|task| {
                STATE.set(Some(state(Serving::Thread, [true, false, false])));
                let mut atomic = task.atomic();
                let mut slots = atomic.slots();
                map(slots.user0);
                STATE.set(Some(state(Serving::Thread, [true, true, false])));
                let mut bh_off = slots.deeper.bh_off();
                let mut slots = bh_off.slots();
                map(slots.softirq0);
                STATE.set(Some(state(Serving::Thread, [true, true, true])));
                map(slots.deeper.irqs_off().slots().irq0);
            });
            // SAFETY: I1: nothing is interrupted.
            unsafe {
                STATE.set(Some(state(Serving::SoftirqHandler, [true, true, false])));
                Softirq::<K>::enter(|softirq| map(softirq.slots().softirq1));
                STATE.set(Some(state(Serving::InterruptHandler, [true, true, true])));
                HardIrq::<K>::enter(|irq| map(irq.slots().irq1));
                STATE.set(Some(state(Serving::NmiHandler, [true, true, true])));
                Nmi::<K>::enter(|nmi| {
                    let _ = nmi.slots();
                });
            }
        });
        assert_eq!(reports, [""; 0]);
    }

    #[test]
    fn a_context_entered_in_the_wrong_place_is_reported_with_slot_cpu_and_place() {
        STATE.set(Some(state(Serving::Thread, [true, false, false])));
        CPU.set(1);
        let mut line = 0;
        let reports = reports(|| {
            // SAFETY: I1: a lie, which is what this test is about; nothing is interrupted.
            unsafe {
                HardIrq::<K>::enter(|irq| {
                    line = line!() + 1;
                    drop(kmap_atomic(irq.slots().irq0, frame()));
                });
            }
        });
        assert_eq!(reports.len(), 1);
        assert!(reports[0].starts_with("slot Irq0 on CPU 1 at "), "{}", reports[0]);
        assert!(reports[0].contains(&here!(line)), "{}", reports[0]);
        assert!(
            reports[0].ends_with(
                "needs interrupts off, but this is a thread, with preemption off, softirqs on and interrupts on"
            ),
            "{}",
            reports[0]
        );
    }

    #[test]
    fn a_page_of_the_direct_map_uses_no_slot_and_is_not_reported() {
        let in_the_wrong_place = |number: u64| {
            STATE.set(Some(state(Serving::Thread, [true, false, false])));
            reports(|| {
                // SAFETY: I1: a lie, which is what this test is about; nothing is interrupted. I5: exists, or only as a number.
                unsafe {
                    let page = Frame::from_pfn(Pfn::new(number).unwrap());
                    HardIrq::<K>::enter(|irq| drop(kmap_atomic(irq.slots().irq0, page)));
                }
            })
        };
        assert_eq!(in_the_wrong_place(1), [""; 0]);
        assert_eq!(in_the_wrong_place(HIGH).len(), 1);
    }

    #[test]
    fn a_task_that_can_be_preempted_is_reported() {
        STATE.set(Some(state(Serving::Thread, [false; 3])));
        let reports = reports(|| task(|task| map(task.atomic().slots().user0)));
        assert!(reports[0].contains("slot User0") && reports[0].contains("needs a thread with preemption off"));
    }

    #[test]
    #[should_panic(expected = "`Kernel::cpu` says 2, of 2 CPUs")]
    fn a_cpu_number_out_of_range_ends_there() {
        CPU.set(2);
        task(|task| map(task.atomic().slots().user0));
    }

    #[test]
    fn a_mapping_that_ends_on_another_cpu_is_reported() {
        let mut line = 0;
        let reports = reports(|| {
            task(|task| {
                let mut atomic = task.atomic();
                line = line!() + 1;
                let guard = kmap_atomic(atomic.slots().user0, frame());
                CPU.set(1);
                drop(guard);
                CPU.set(0);
            });
        });
        assert_eq!(reports.len(), 1);
        let address = FIXMAP_BASE + page(0, 0) * PAGE_SIZE;
        let start = std::format!(
            "slot User0 on CPU 1: unmaps {address:#x}, which is not mapped on this CPU; it was mapped at "
        );
        assert!(reports[0].starts_with(&start) && reports[0].contains(&here!(line)), "{}", reports[0]);
        assert_eq!(mappings::<K>().count(), 0, "the mapping is ended all the same");
    }

    #[test]
    fn a_mapping_that_ends_on_another_cpu_with_tables_of_its_own_is_reported() {
        type K = TestKernel<false, crate::linux::Set, crate::test_kernel::OwnTables>;
        let reports = reports(|| {
            // SAFETY: I1: each test is a thread, and enters once at a time.
            unsafe {
                Task::<K>::enter(|task| {
                    let mut atomic = task.atomic();
                    let guard = kmap_atomic(atomic.slots().user0, frame());
                    // Another CPU sees its own tables at the same addresses, and there the slot is empty.
                    crate::atomic::unmap::<K>(guard.address(), Group::PreemptionOff);
                    drop(guard);
                });
            }
        });
        assert_eq!(reports.len(), 1, "{reports:#?}");
        assert!(
            reports[0].starts_with("slot User0 on CPU 0: unmaps ") && reports[0].contains("not mapped on this CPU")
        );
    }

    #[test]
    fn an_interrupt_flag_that_is_set_is_reported_whatever_the_accounts_say() {
        INTERRUPTS_ON.set(Some(true));
        for state in [None, Some(state(Serving::InterruptHandler, [true; 3]))] {
            STATE.set(state);
            let mut line = 0;
            let reports = reports(|| {
                // SAFETY: I1: a lie, which is what this test is about; nothing is interrupted.
                unsafe {
                    HardIrq::<K>::enter(|irq| {
                        line = line!() + 1;
                        drop(kmap_atomic(irq.slots().irq0, frame()));
                    });
                }
            });
            assert_eq!(reports.len(), 1, "{reports:#?}");
            assert!(
                reports[0].starts_with("slot Irq0 on CPU 0 at ") && reports[0].contains(&here!(line)),
                "{}",
                reports[0]
            );
            assert!(reports[0].ends_with("needs interrupts off, but the interrupt flag is set"), "{}", reports[0]);
        }
        STATE.set(None);
        assert_eq!(
            self::reports(|| task(|task| map(task.atomic().slots().user0))),
            [""; 0],
            "others do not need it clear"
        );
        INTERRUPTS_ON.set(Some(false));
        // SAFETY: I1: nothing is interrupted.
        assert_eq!(self::reports(|| unsafe { HardIrq::<K>::enter(|irq| map(irq.slots().irq0)) }), [""; 0]);
    }

    #[test]
    fn two_cpus_with_one_number_are_reported() {
        let on = |apic, cpu| {
            IDENTITY.set(Some(apic));
            CPU.set(cpu);
            reports(|| task(|task| map(task.atomic().slots().user0)))
        };
        for _ in 0..2 {
            assert_eq!(on(6, 0), [""; 0]);
            assert_eq!(on(7, 1), [""; 0]);
        }
        let reports = on(7, 0);
        assert_eq!(reports.len(), 1, "{reports:#?}");
        assert!(reports[0].starts_with("slot User0 at ") && reports[0].contains(file!()), "{}", reports[0]);
        assert!(
            reports[0].ends_with("`Kernel::cpu` says 0 on two CPUs, those with local APIC 6 and 7"),
            "{}",
            reports[0]
        );
        assert_eq!(mappings::<K>().count(), 0, "what remembers them is no mapping");
        IDENTITY.set(None);
        CPU.set(0);
    }

    #[test]
    fn a_forgotten_guard_is_reported_when_its_slot_is_mapped_again() {
        let (mut forgotten, mut again) = (0, 0);
        let reports = reports(|| {
            task(|task| {
                let mut atomic = task.atomic();
                let mut slots = atomic.slots();
                forgotten = line!() + 1;
                mem::forget(kmap_atomic(slots.user0.reborrow(), frame()));
                again = line!() + 1;
                drop(kmap_atomic(slots.user0, frame()));
            });
        });
        assert_eq!(reports.len(), 1);
        assert!(reports[0].starts_with("slot User0 on CPU 0: "), "{}", reports[0]);
        assert!(reports[0].contains(&here!(forgotten)) && reports[0].contains(&here!(again)), "{}", reports[0]);
    }

    #[test]
    fn a_forgotten_guard_is_reported_when_its_context_ends_and_unmapped() {
        fn forget<S: KmType<Set = crate::linux::Set>>(slot: Slot<'_, K, S>) {
            mem::forget(kmap_atomic(slot, frame()));
        }

        let reports = reports(|| {
            task(|task| {
                let mut atomic = task.atomic();
                let mut slots = atomic.slots();
                forget(slots.pte1);
                let mut bh_off = slots.deeper.bh_off();
                let mut slots = bh_off.slots();
                forget(slots.softirq1);
                forget(slots.deeper.irqs_off().slots().bio_src_irq);
            });
            // SAFETY: I1: nothing is interrupted.
            unsafe {
                HardIrq::<K>::enter(|irq| {
                    forget(irq.slots().irq0);
                    irq.with_irqs_on(|| ());
                });
                Softirq::<K>::enter(|softirq| forget(softirq.slots().softirq0));
            }
        });
        let slots = ["BioSrcIrq", "Softirq1", "Pte1", "Irq0", "Softirq0"];
        assert_eq!(reports.len(), slots.len(), "{reports:#?}");
        for (report, slot) in reports.iter().zip(slots) {
            assert!(report.starts_with(&std::format!("slot {slot} on CPU 0: ")), "{report}");
            assert!(report.ends_with("its guard was forgotten, and its context ends"), "{report}");
        }
        assert_eq!(mappings::<K>().count(), 0);
    }

    #[test]
    fn each_slot_has_an_unmapped_page_on_both_sides() {
        let slots = (0..2).flat_map(slots_of_cpu::<K>);
        let pages: Vec<usize> = slots.map(|(_, address)| (address - FIXMAP_BASE) / PAGE_SIZE).collect();
        assert_eq!(pages[..3], [1, 3, 5]);
        assert_eq!(pages[13], 28, "the second CPU begins behind the last page of the first");
        assert!(pages.windows(2).all(|pair| pair[1] - pair[0] >= 2));
    }

    #[test]
    fn a_report_about_a_cpu_names_the_slot() {
        let report = Report::NoSuchCpu { slot: "User0", cpu: 9, cpus: 4, caller: Location::caller() };
        let text = report.to_string();
        assert!(text.contains("slot User0") && text.ends_with("says 9, of 4 CPUs"), "{text}");
    }

    #[test]
    fn each_mapping_says_where_it_was_made() {
        task(|task| {
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            let _one = kmap_atomic(slots.user0, frame());
            let mut irqs_off = slots.deeper.irqs_off();
            let _two = kmap_atomic(irqs_off.slots().irq0, frame());
            let places: Vec<u32> = mappings::<K>().filter_map(|found| found.mapped_by).map(Location::line).collect();
            assert_eq!(places.len(), 2);
            assert_eq!(places[1] - places[0], 2);
        });
    }
}
