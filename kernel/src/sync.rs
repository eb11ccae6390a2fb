//! A spin lock that interrupt handlers may take too.
//!
//! A handler that wants a lock its own CPU already holds would wait for ever. So interrupts are off for as long as an
//! [`IrqLock`] is held; and as no wait here is unbounded, one that lasts absurdly long is a panic.
//!
//! Do not print inside [`IrqLock::with`] on data whose `Display` takes the same lock.

use crate::irq;

/// Tries before a wait is called a deadlock: seconds of spinning.
const PATIENCE: u32 = 1 << 28;

/// A value behind a spin lock, held only with interrupts off.
pub struct IrqLock<T>(spin::Mutex<T>);

impl<T> IrqLock<T> {
    /// Puts `value` behind a lock.
    pub const fn new(value: T) -> Self {
        Self(spin::Mutex::new(value))
    }

    /// Runs `f` on the value.
    ///
    /// # Panics
    ///
    /// If the lock does not become free within some seconds, which means that `f` took it again.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        self.attempt(PATIENCE, f).expect("deadlock on an IrqLock")
    }

    /// Runs `f` on the value if the lock is free now.
    pub fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.attempt(1, f)
    }

    /// Runs `f` on the value if the lock becomes free within so many tries.
    pub fn attempt<R>(&self, tries: u32, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        irq::with_disabled(|| {
            for _ in 0..tries {
                if let Some(mut value) = self.0.try_lock() {
                    return Some(f(&mut value));
                }
                core::hint::spin_loop();
            }
            None
        })
    }
}
