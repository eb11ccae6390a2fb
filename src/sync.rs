//! Atomics and the lock of what all CPUs share: those of the processor, or under `cfg(shuttle)` those of a checker that runs tests in many
//! orders of their operations.

#[cfg(not(shuttle))]
pub(crate) use core::sync::atomic::{AtomicU16, AtomicU32, AtomicUsize, fence};
#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicU16, AtomicU32, AtomicUsize, fence};
