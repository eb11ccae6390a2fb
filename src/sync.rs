//! Atomics and the lock of what all CPUs share: those of the processor, or under `cfg(shuttle)` those of a checker that runs tests in many
//! orders of their operations.

use crate::kernel::Kernel;

#[cfg(not(shuttle))]
pub(crate) use core::sync::atomic::{AtomicU16, AtomicU32, AtomicUsize, fence};
#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicU16, AtomicU32, AtomicUsize, fence};

#[cfg(not(shuttle))]
pub(crate) use spin::Mutex;
#[cfg(not(shuttle))]
use spin::MutexGuard;

#[cfg(shuttle)]
use shuttle::sync::MutexGuard;

/// What is used of spin's lock.
#[cfg(shuttle)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

#[cfg(shuttle)]
impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.try_lock().is_none()
    }
}

/// Runs `f` under `lock`, with interrupts off: a handler on this CPU may want it, too. Whoever waits for the lock serves interrupts
/// meanwhile, unless they were off before.
#[inline]
pub(crate) fn locked<K: Kernel, T, R>(lock: &Mutex<T>, relax: fn(), f: impl FnOnce(&mut T) -> R) -> R {
    let were_on = K::irq_save();
    let (were_on, mut guard) = match lock.try_lock() {
        Some(guard) => (were_on, guard),
        None => wait_for::<K, T>(lock, relax, were_on),
    };
    let result = f(&mut guard);
    drop(guard);
    // SAFETY: I1: ends the `irq_save` before the lock was taken.
    unsafe { K::irq_restore(were_on) };
    result
}

#[cold]
#[inline(never)]
fn wait_for<K: Kernel, T>(lock: &Mutex<T>, relax: fn(), mut were_on: bool) -> (bool, MutexGuard<'_, T>) {
    loop {
        // SAFETY: I1: ends the last `irq_save`.
        unsafe { K::irq_restore(were_on) };
        while lock.is_locked() {
            relax();
        }
        were_on = K::irq_save();
        if let Some(guard) = lock.try_lock() {
            return (were_on, guard);
        }
    }
}
