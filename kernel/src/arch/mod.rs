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

/// The first address of highmem's window.
///
/// The shared one ends where the address space does: one comparison tells whether an address is in it. Where each CPU has its own, all
/// addresses are constants, but the tables show in the window's last page, and no Rust value may lie in the last page of all.
pub const WINDOW_BASE: usize =
    0usize.wrapping_sub(if cfg!(feature = "cpu-window") { 2 } else { 1 } * crate::paging::TABLE_SPAN);
