//! A machine on the host that behaves like the hardware, at its worst: for a kernel's own unit tests.
//!
//! Code that maps pages runs on bare metal, where tests are slow to write and slow to run; on a host, a test usually replaces the
//! mapping by an array, and proves nothing about it. And what goes wrong with mappings goes wrong rarely: a translation that was not
//! flushed does no harm until the processor happens to use it.
//!
//! Here the rule is: what may go wrong on a processor, some day, goes wrong each time. [`Machine`] has CPUs, which are threads, and
//! physical memory of any size. The page tables are those that the crate writes, half by half where the paging mode has it so; what
//! they map appears at real addresses of the process. A CPU caches a translation as soon as its entry is present, even if that is only
//! half of it, and keeps it until `invlpg`. So
//!
//! - a flush that is missing shows as somebody else's bytes;
//! - a use after unmap, or a write through a read-only mapping, is a [`Fault`]: it names slot, address and CPU, and becomes a panic;
//! - an interrupt comes where a test wants it: now, as soon as interrupts are on, or [at each step in turn](Cpu::interrupt_everywhere).
//!
//! The feature `model` turns it on, for hosts with 64-bit Linux on x86; it is a feature for `[dev-dependencies]`:
//!
//! ```toml
//! [dev-dependencies]
//! highmem = { version = "0.1", features = ["model"] }
//! ```
//!
//! # Testing one's own code
//!
//! [`ModelKernel`] is a [`Kernel`](crate::Kernel). Code under test has to be able to name it in place of its own. It is either generic,
//! as a library is:
//!
//! ```
//! use highmem::linux::{Set, User0};
//! use highmem::{Kernel, Page, Slot, kmap_atomic, page::ReadWrite};
//!
//! /// The code under test.
//! fn count_zeros<K: Kernel<KmTypes = Set>>(
//!     slot: Slot<'_, K, User0>,
//!     page: &impl Page<Paging = K::Paging, Access = ReadWrite>,
//! ) -> usize {
//!     kmap_atomic(slot, page).iter().filter(|&&byte| byte == 0).count()
//! }
//!
//! use highmem::model::{Machine, Zone};
//!
//! // A test: in a program of its own, `#[test] fn counts_what_is_zero() {`
//! let machine = Machine::new();
//! let mut page = machine.alloc(Zone::High);
//! machine.cpu(0).task(|task| {
//!     let mut atomic = task.atomic();
//!     let mut slots = atomic.slots();
//!     kmap_atomic(slots.user0.reborrow(), &mut page)[..100].fill(0);
//!     assert_eq!(count_zeros(slots.user0, &page), 100);
//! });
//! ```
//!
//! Or it uses aliases, as a kernel does, and the aliases are others in a test:
//!
//! ```
//! # struct MyKernel;
//! #[cfg(not(test))]
//! type K = MyKernel;
//! #[cfg(test)]
//! type K = highmem::model::ModelKernel<highmem::paging::Pae>;
//! ```
//!
//! Slot types of one's own are [`ModelKernel`]'s second parameter, and the [`Machine`]'s; the fourth is how many entries the
//! [pool](crate::pool) has. `examples/ring_driver.rs` is a driver with its
//! tests; `examples/model_tour.rs` shows what there is.
//!
//! # The pool
//!
//! [`kmap`](crate::kmap()) and its like work as well: [`ModelKernel`] is a [`PoolKernel`](crate::PoolKernel), whose pool has few entries, so
//! that code under test comes to its end soon. What all CPUs have to forget is remembered by all: a mapping that appears while any CPU
//! still has another one cached at that address, in any address space, is a [fault](What::StillCached) at once. It names both frames.
//!
//! Whoever sleeps for an entry stays on its CPU, which serves interrupts meanwhile, and looks again only when somebody has woken it: a
//! wake that is lost shows. [`Cpu::signal`] has it give up. A CPU that another one wants to flush is interrupted at its next step, or
//! while it sleeps or spins; a CPU that no thread is does at once what it is asked to.
//!
//! ```
//! use highmem::model::{Machine, Zone};
//! use highmem::{kmap, kmap_pair, kunmap};
//!
//! let machine = Machine::new();
//! let (from, mut to) = (machine.alloc(Zone::High), machine.alloc(Zone::High));
//! machine.cpu(0).task(|task| {
//!     let (from, mut to, _task) = kmap_pair(task, &from, &mut to).unwrap();
//!     to.copy_from_slice(&from[..]);
//!     kunmap(to);
//! });
//! ```
//!
//! # User memory
//!
//! [`ModelKernel`] is a [`UserKernel`](crate::UserKernel), too: a test says which pages a process has ([`Machine::user`]), whether they are
//! there, come when a fault is handled, or go away again at once; and afterwards what is in them, and how many faults there were. A copy
//! that may sleep, in a place that may not, is a panic, even if everything is there.
//!
//! # What is not modelled
//!
//! - Caches, write buffers, and the order in which another CPU sees stores. CPUs are threads of the host, so data of theirs is ordered
//!   as the host does it; a step is atomic.
//! - A CPU's slots are at addresses that other threads can reach, too. What is modelled is the CPU whose slots they are. A store to
//!   another CPU's entry is a fault; an access to what another CPU has mapped is not seen.
//! - A page that all CPUs see ([`Machine::shared_page`]) has one address in the process: as long as any CPU has an old translation
//!   cached, the page shows the oldest, to all.
//! - Translations are never dropped for want of room, and none is fetched that no entry named. Large pages, the levels above the
//!   tables, and accessed and dirty bits are not there.
//! - The memory type of a mapping is told by [`Machine::translation`], and has no effect. So is whether it is executable.
//! - The host does not fault where a system call is given an address of the window: it returns `EFAULT`.
//! - User memory has no addresses in the process, and no frames: it can be copied, and nothing else.
//! - Broken memory: [`Machine::poison`] stops [`Kernel::copy_mc`](crate::Kernel::copy_mc), and nothing else notices it.
//! - Devices: a frame that is not memory is a fault. [`Machine::poke`] writes to shared memory as a device does.

mod cpu;
mod fault;
mod hardware;
mod interleave;
mod kernel;
mod layout;
mod machine;
mod memory;
mod mmu;
mod pool;
mod tlb;
mod user;

pub use cpu::Cpu;
pub use fault::{Fault, What};
pub use hardware::{Counts, Hardware};
pub use interleave::Schedules;
pub use kernel::ModelKernel;
pub use machine::{Config, Machine};
pub use memory::{FREED, FRESH, Frame, FrameRun, SharedFrame, SharedFrameRun, Zone};
pub use mmu::Stale;
pub(crate) use pool::ModelPool;
pub use pool::PoolSize;
pub use tlb::Translation;
pub use user::{UserFaults, UserMemory, UserPage};
