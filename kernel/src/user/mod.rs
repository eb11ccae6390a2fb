//! Processes: threads that have an address space, and run in ring 3.
//!
//! In C, a kernel that touches user memory must keep in mind, at each place, whether it may sleep there; a pointer that came from user space
//! looks like any other; and an error in a program becomes one of the kernel. The rule: user memory is reached by copying, by the two
//! functions of [`copy`] alone; what may sleep on the way is said; and whatever a program does, it ends itself and nobody else.
//!
//! The types say it: a page of user space gives copies and no references ([`UserPage`] is volatile, I6), and a system call gets the
//! thread's `&mut Task`, which it cannot have under an atomic mapping (I7).
//!
//! | file | says |
//! |---|---|
//! | `layout` | which addresses a process has |
//! | `program` | what it runs |
//! | `page` | a frame that processes share until one of them writes |
//! | `space` | an address space: which pages it has, and what a fault means |
//! | `current` | the address space of the thread that runs; into ring 3, and out of it |
//! | `copy` | copies that may fault |
//! | `process` | the life of a process |
//! | `pipe` | bytes from one process to another |
//! | `ends` | which ends of pipes a process has |
//! | `call` | system calls |
//!
//! The page tables are in [`paging`](crate::paging), as all are. Into the kernel lead the interrupt gates and nothing else: `syscall` and
//! `sysenter` are not turned on, nor are port accesses or the FPU.
//!
//! ```ignore
//! let process = process::spawn(task, Program::at(&raw const PROGRAM), [0; 3])?;
//! assert_eq!(process.wait(task), Exit::Code(0));
//! ```

pub mod call;
pub mod copy;
mod current;
mod ends;
pub mod layout;
mod page;
pub mod pipe;
pub mod process;
mod program;
mod space;

pub(crate) use current::{Current, Link, Trap, bring_in, leave, load, set_kernel_stack};
pub use ends::MAX as MAX_ENDS;
pub use page::UserPage;
pub use program::Program;
pub use space::{Refusal, Stats, stats, with_space};

pub use crate::paging::user::OutOfMemory;
