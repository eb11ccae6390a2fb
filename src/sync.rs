//! Atomics and the lock of what all CPUs share: those of the processor, or under `cfg(shuttle)` those of a checker that runs tests in many
//! orders of their operations.

#[cfg(not(shuttle))]
pub(crate) use core::sync::atomic::{AtomicU16, AtomicU32, AtomicUsize, fence};
#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicU16, AtomicU32, AtomicUsize, fence};

#[cfg(not(shuttle))]
pub(crate) use spin::Mutex;

/// What is used of spin's lock.
#[cfg(shuttle)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

#[cfg(shuttle)]
impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn try_lock(&self) -> Option<shuttle::sync::MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.try_lock().is_none()
    }
}
