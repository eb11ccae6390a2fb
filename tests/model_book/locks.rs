//! The Rust of `docs/other-crates.md` about the crate `lock_api`.

use super::mm::K;

// locks.rs: a value that interrupt handlers use, too
use highmem::linux::IrqsOffSlots;
use highmem::{HardIrq, IrqsOff};
use lock_api::{Mutex, RawMutex};

/// A value behind a spin lock, for who can show that no handler comes here that wants it, too.
pub struct IrqMutex<R, T>(Mutex<R, T>);

impl<R: RawMutex, T> IrqMutex<R, T> {
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits for the value, and runs `f` on it. It may map pages meanwhile, and cannot sleep. Linux: `spin_lock()`, with interrupts off.
    pub fn with<X>(&self, off: &mut impl NoHandler, f: impl FnOnce(&mut T, IrqsOffSlots<'_, K>) -> X) -> X {
        f(&mut self.0.lock(), off.slots())
    }
}

/// Interrupts are off for as long as this is borrowed.
pub trait NoHandler {
    fn slots(&mut self) -> IrqsOffSlots<'_, K>;
}

impl NoHandler for IrqsOff<'_, K> {
    fn slots(&mut self) -> IrqsOffSlots<'_, K> {
        self.slots()
    }
}

impl NoHandler for HardIrq<'_, K> {
    fn slots(&mut self) -> IrqsOffSlots<'_, K> {
        self.slots()
    }
}

mod tests {
    use std::thread;

    use highmem::kmap_atomic;
    use highmem::model::{Machine, Zone};

    use super::*;
    use crate::{check, mm};

    /// Adds one to each of two numbers of a page, and says whether they were the same.
    fn count(page: &mut mm::Frame, slots: IrqsOffSlots<'_, K>) -> bool {
        let mut bytes = kmap_atomic(slots.irq0, page);
        let (first, second) = bytes.split_at_mut(2048);
        let same = first[0] == second[0];
        first[0] = first[0].wrapping_add(1);
        thread::yield_now();
        second[0] = second[0].wrapping_add(1);
        same
    }

    #[test]
    fn tasks_and_handlers_of_all_cpus_take_turns_at_a_page() {
        const EACH: usize = 500;
        let machine = Machine::new();
        let shared = IrqMutex::<spin::Mutex<()>, _>::new(machine.alloc(Zone::High));
        machine.cpu(0).task(|task| {
            shared.with(&mut task.atomic().irqs_off(), |page, slots| kmap_atomic(slots.irq0, page).fill(0));
        });
        thread::scope(|scope| {
            for cpu in [machine.cpu(0), machine.cpu(1)] {
                let shared = &shared;
                scope.spawn(move || {
                    cpu.task(|task| {
                        for _ in 0..EACH {
                            assert!(shared.with(&mut task.atomic().irqs_off(), count));
                            assert!(cpu.interrupt_now(|irq| shared.with(irq, count)));
                        }
                    });
                });
            }
        });
        let page = shared.0.into_inner();
        assert_eq!(machine.peek(highmem::Page::pfn(&page))[0], (4 * EACH) as u8);
        check(&machine);
    }

    #[test]
    fn a_handler_does_not_come_while_the_value_is_locked() {
        static SHARED: IrqMutex<spin::Mutex<()>, u32> = IrqMutex::new(0);
        let machine = Machine::new();
        let cpu = machine.cpu(0);
        cpu.task(|task| {
            let mut atomic = task.atomic();
            let mut off = atomic.irqs_off();
            SHARED.with(&mut off, |value, _| {
                cpu.interrupt(|irq| SHARED.with(irq, |value, _| *value += 10));
                *value += 1;
                assert_eq!(*value, 1, "it waits until interrupts are on");
            });
            drop(off);
            assert_eq!(SHARED.0.try_lock().map(|value| *value), Some(11));
        });
    }
}
