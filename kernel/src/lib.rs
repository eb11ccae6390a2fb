//! The small kernel that highmem's bare-metal examples, tests and benches run on.
//!
//! A program is one file: it names its entry with `kernel::main!`, and by the time that runs, the page tables,
//! interrupts, the timer and the frame allocator are up. It ends by returning (success), by a panic, or by
//! `kernel::exit`; the last line on the serial port is the verdict.
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//!
//! kernel::main!(hello);
//!
//! fn hello(task: &mut Task<'_>) {
//!     kernel::println!("{} MiB of lowmem", kernel::paging::lowmem_end() >> 20);
//! }
//! ```
//!
//! Up to four CPUs and sixteen threads, which the CPUs share, in one of three paging modes: 32-bit without PAE (feature
//! `non-pae`), 32-bit with PAE, 64-bit with 4 or 5 levels; with one window for all CPUs, or one for each (feature `cpu-window`). The
//! window's translations are global, but in the mode without PAE. How the kernel joins `highmem` is in [`kmap`], how the CPUs are started
//! in [`smp`], which thread runs on which of them in [`sched`], and how a thread becomes a process in ring 3 in [`user`];
//! [`disk`] has a disk. On the host the crate is empty, so that the workspace still builds there.

#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

pub mod arch;
pub mod boot;
pub mod console;
#[cfg(feature = "counted")]
pub mod counted;
pub mod cpu;
pub mod disk;
pub mod exit;
mod fixup;
pub mod frames;
mod gdt;
pub mod harness;
mod heap;
pub mod ide;
mod idt;
pub mod ipi;
pub mod irq;
pub mod kmap;
mod lapic;
pub mod memory;
pub mod paging;
mod pci;
mod pic;
pub mod probe;
mod pvh;
pub mod report;
pub mod sched;
pub mod smp;
pub mod softirq;
pub mod spaces;
pub mod sync;
pub mod thread;
pub mod timer;
#[cfg(feature = "trace")]
pub mod trace;
mod trap;
pub mod user;
#[cfg(target_arch = "x86_64")]
pub mod virtio;
pub mod wait;
#[cfg_attr(feature = "cpu-window", path = "window/cpu.rs")]
#[cfg_attr(not(feature = "cpu-window"), path = "window/shared.rs")]
mod window;

pub use exit::exit;
