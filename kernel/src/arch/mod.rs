//! What the processor does differently in 32-bit and in 64-bit mode: how the kernel is entered, where it is linked, segments, gates
//! and the stack of a trap.
//!
//! Two folders have the same names in them, and the target decides which one is compiled. How page tables differ is in
//! [`paging`](crate::paging).

#[cfg(target_arch = "x86")]
mod x86_32;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86")]
pub use x86_32::*;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
