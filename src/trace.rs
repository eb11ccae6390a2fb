//! Traces: a kernel hears of each mapping and of its end, and of the handlers that run in between.
//!
//! In C, who maps what, where and for how long is found out with a `printk` in `kmap_atomic`, which changes the kernel for everybody, and
//! is wrong as soon as a handler comes between the line and what it is about.
//!
//! The rule: an event is told while its slot is held. Between `Mapped` and `Unmapped` of a slot nobody else can have it, so what a kernel
//! writes down of one CPU and slot is one mapping after the other.
//!
//! The types say who pays: a kernel that wants to hear of it says so by [`Kernel::TRACED`], and implements [`Kernel::trace`]. It is a
//! constant of the kernel and not a feature of the crate, so that no other kernel in the same build, and none of its tests, is traced
//! with it. Where it is false, no instruction is left of it.
//!
//! ```
//! use highmem::trace::Event;
//!
//! /// What goes into `Kernel::trace`, for a kernel that has the crate `log`.
//! fn trace(event: &Event) {
//!     log::trace!(target: "highmem", "{event}");
//! }
//! ```
//!
//! # What is told
//!
//! - A guard of a slot is [`Event::Mapped`] and [`Event::Unmapped`], on one CPU. A page of the direct map, which is not mapped a second time,
//!   is neither. That the page stays mapped behind a guard in a [lazy](mod@crate::lazy) slot is not told.
//! - A [batch](crate::batch) is that for each of its pages: with one name, and addresses that follow one another.
//! - A guard that was forgotten is `Unmapped` where its slot is found in use; if it never is, then never.
//! - [Local maps](crate::local) of a thread that is switched out are [`Event::SwitchedOut`], and `SwitchedIn` when it goes on, on the same CPU.
//!   That this does not come between a mapping and its event, preemption is off for both: with preemption on, it may come in
//!   the middle.
//! - A guard of the [pool](crate::pool) is [`Event::PoolMapped`] and [`Event::PoolUnmapped`], perhaps on another CPU. Several guards can
//!   have one address at a time.
//! - Handlers are [`Event::Entered`] and [`Event::Left`]. They nest, on each CPU.

use core::fmt;
use core::marker::PhantomData;
use core::panic::Location;

use crate::debug::Serving;
use crate::fixmap::Window;
use crate::kernel::Kernel;
use crate::page::{Access, Page, Pfn};
use crate::paging::{PAGE_SIZE, Paging};
use crate::slot::{BatchEntries, Group, KmType};

/// Something that happened on this CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A page is mapped in a slot.
    Mapped {
        /// The slot.
        slot: &'static str,
        /// What makes the slot exclusive.
        group: Group,
        /// Where.
        address: usize,
        /// The number of the frame.
        pfn: usize,
        /// Whether it may be written.
        writable: bool,
        /// Whether this is a page table, mapped by [`pagetable`](crate::pagetable).
        table: bool,
        /// Who maps.
        caller: &'static Location<'static>,
    },
    /// Its guard ends.
    Unmapped {
        /// The slot.
        slot: &'static str,
        /// Where.
        address: usize,
    },
    /// The thread is switched out, and this local map of its with it.
    SwitchedOut {
        /// The slot.
        slot: &'static str,
        /// Where.
        address: usize,
        /// The number of the frame.
        pfn: usize,
    },
    /// The thread goes on, and has its local map again.
    SwitchedIn {
        /// The slot.
        slot: &'static str,
        /// Where.
        address: usize,
        /// The number of the frame.
        pfn: usize,
    },
    /// A page is mapped in the pool, for one user more.
    PoolMapped {
        /// Where.
        address: usize,
        /// The number of the frame.
        pfn: usize,
        /// Whether it may be written.
        writable: bool,
        /// Who maps.
        caller: &'static Location<'static>,
    },
    /// One user less.
    PoolUnmapped {
        /// Where.
        address: usize,
    },
    /// A handler begins: of what kind.
    Entered(Serving),
    /// It ends.
    Left(Serving),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = |writable| if writable { "read-write" } else { "read only" };
        match *self {
            Self::Mapped { slot, address, pfn, writable, table, caller, .. } => {
                let what = if table { "page table " } else { "" };
                let access = access(writable);
                write!(f, "slot {slot}: {what}pfn {pfn:#x} is mapped at {address:#x}, {access}, by {caller}")
            }
            Self::Unmapped { slot, address } => write!(f, "slot {slot}: unmapped at {address:#x}"),
            Self::SwitchedOut { slot, address, pfn } => {
                write!(f, "slot {slot}: pfn {pfn:#x} at {address:#x} is switched out")
            }
            Self::SwitchedIn { slot, address, pfn } => {
                write!(f, "slot {slot}: pfn {pfn:#x} at {address:#x} is switched in")
            }
            Self::PoolMapped { address, pfn, writable, caller } => {
                write!(f, "kmap pool: pfn {pfn:#x} is mapped at {address:#x}, {}, by {caller}", access(writable))
            }
            Self::PoolUnmapped { address } => write!(f, "kmap pool: a user less at {address:#x}"),
            Self::Entered(serving) => write!(f, "{} begins", name(serving)),
            Self::Left(serving) => write!(f, "{} ends", name(serving)),
        }
    }
}

fn name(serving: Serving) -> &'static str {
    match serving {
        Serving::Thread => "a thread",
        Serving::SoftirqHandler => "a softirq",
        Serving::InterruptHandler => "an interrupt",
        Serving::NmiHandler => "an NMI",
    }
}

/// As long as it lives, a mapping of a task and its event are one to whoever switches threads.
pub(crate) struct Whole<K: Kernel, S: KmType>(PhantomData<(K, S)>);

impl<K: Kernel, S: KmType> Whole<K, S> {
    const NEEDED: bool = K::TRACED && matches!(S::GROUP, Group::MigrationOff);

    #[inline]
    pub(crate) fn begin() -> Self {
        if const { Self::NEEDED } {
            K::preempt_disable();
        }
        Self(PhantomData)
    }
}

impl<K: Kernel, S: KmType> Drop for Whole<K, S> {
    #[inline]
    fn drop(&mut self) {
        if const { Self::NEEDED } {
            // SAFETY: ends the `preempt_disable` of `begin`.
            unsafe { K::preempt_enable() };
        }
    }
}

/// `P` has just been mapped in slot `S`.
#[inline]
#[track_caller]
pub(crate) fn mapped<K: Kernel, S: KmType, P: Page<Paging = K::Paging>>(pfn: Pfn<K::Paging>, address: usize) {
    if const { K::TRACED } {
        K::trace(&Event::Mapped {
            slot: S::NAME,
            group: S::GROUP,
            address,
            pfn: pfn.number(),
            writable: <P::Access as Access>::WRITABLE,
            table: P::IS_TABLE,
            caller: Location::caller(),
        });
    }
}

/// What is mapped at `address` is about to be unmapped, if that is slot `S` and not the direct map.
#[inline]
pub(crate) fn unmapped<K: Kernel, S: KmType<Set = K::KmTypes>>(address: usize) {
    if const { K::TRACED } && Window::<K>::is_slot::<S>(address) {
        K::trace(&Event::Unmapped { slot: S::NAME, address });
    }
}

/// `P` has just been mapped in a batch.
#[inline]
#[track_caller]
pub(crate) fn mapped_in_batch<K: Kernel, P: Page<Paging = K::Paging>>(
    entries: &BatchEntries,
    pfn: Pfn<K::Paging>,
    address: usize,
) {
    if const { K::TRACED } {
        K::trace(&Event::Mapped {
            slot: entries.name,
            group: entries.group,
            address,
            pfn: pfn.number(),
            writable: <P::Access as Access>::WRITABLE,
            table: P::IS_TABLE,
            caller: Location::caller(),
        });
    }
}

/// The first so many pages of a batch are about to be unmapped.
#[inline]
pub(crate) fn unmapped_batch<K: Kernel>(entries: &BatchEntries, address: usize, pages: usize) {
    if const { K::TRACED } {
        for page in 0..pages {
            K::trace(&Event::Unmapped { slot: entries.name, address: address + page * PAGE_SIZE });
        }
    }
}

/// A page whose guard was forgotten is about to be unmapped.
#[inline]
pub(crate) fn unmapped_forgotten<K: Kernel>(slot: &'static str, address: usize) {
    if const { K::TRACED } {
        K::trace(&Event::Unmapped { slot, address });
    }
}

/// Where the local maps of a thread go at a switch.
#[derive(Clone, Copy)]
pub(crate) enum Switch {
    Out,
    In,
}

/// The local map in this slot, if there is one, is about to be switched out, or has just been switched in.
///
/// # Safety
/// The entry is that of the slot, and nobody writes it meanwhile.
#[inline]
pub(crate) unsafe fn switched<K: Kernel>(
    switch: Switch,
    slot: usize,
    address: usize,
    pte: *const <K::Paging as Paging>::Entry,
) {
    if const { K::TRACED } {
        // SAFETY: the caller's promise.
        if let Some((pfn, _)) = unsafe { K::Paging::get::<K::Machine>(pte) } {
            let slot = Window::<K>::name(slot);
            K::trace(&match switch {
                Switch::Out => Event::SwitchedOut { slot, address, pfn },
                Switch::In => Event::SwitchedIn { slot, address, pfn },
            });
        }
    }
}

/// `P` has one user more in the pool.
#[inline]
pub(crate) fn pool_mapped<K: Kernel, P: Page<Paging = K::Paging>>(
    page: &P,
    address: usize,
    caller: &'static Location<'static>,
) {
    if const { K::TRACED } {
        let (pfn, writable) = (page.pfn().number(), <P::Access as Access>::WRITABLE);
        K::trace(&Event::PoolMapped { address, pfn, writable, caller });
    }
}

/// What is mapped at `address` in the pool is about to have one user less.
#[inline]
pub(crate) fn pool_unmapped<K: Kernel>(address: usize) {
    if const { K::TRACED } {
        K::trace(&Event::PoolUnmapped { address });
    }
}

/// A handler begins.
#[inline]
pub(crate) fn entered<K: Kernel>(serving: Serving) {
    if const { K::TRACED } {
        K::trace(&Event::Entered(serving));
    }
}

/// A handler ends.
#[inline]
pub(crate) fn left<K: Kernel>(serving: Serving) {
    if const { K::TRACED } {
        K::trace(&Event::Left(serving));
    }
}

#[cfg(test)]
mod tests;
