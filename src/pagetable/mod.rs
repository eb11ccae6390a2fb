//! Page tables in high memory: walked, filled, changed and freed through slots, so that they need no address of their own.
//!
//! In C, `pte_offset_map()` maps the page of a page table in a slot and returns a pointer into it. Everything that goes wrong with slots
//! goes wrong here, with the map of all memory: the pointer was used behind `pte_unmap()`; a new table was allocated, which slept, while the
//! old one was mapped (three attempts to repair `move_one_page()` in 2002 and 2003); an error path returned with the table mapped; Xen kept
//! the mapping of one CPU and unmapped it on another. And what C code knows of the TLB is in comments: entries were changed and no CPU
//! told, tables were freed while a page walker was in them, a 64-bit entry was cleared by two stores in the wrong order, and bits that the
//! processor had set in between were lost.
//!
//! The rule (I4, I8, I10): an entry is used while its table is mapped, on this CPU, and two tables are mapped at a time at the most. An entry
//! of a table in use changes in one locked step, so that nothing the processor writes to it gets lost. What was changed or removed is flushed
//! on each CPU that may remember it, and tables that were taken out of the tree are given back only behind the flush. Whatever
//! fails has changed nothing.
//!
//! The types say it: walking takes the tokens of two slots ([`linux::Pte0`](crate::linux::Pte0) and [`Pte1`](crate::linux::Pte1), or others);
//! an [`Entry`] is a guard, which holds the mapping of its table; whatever changes an entry returns a [`MustFlush`], which has the tables that
//! are free then, and no way to give them back but [`flush`](MustFlush::flush); an allocator ([`TableSource`]) gets no context, so it
//! cannot sleep; and what can go wrong is an [`Error`].
//!
//! The same serves 64-bit kernels that do not map all physical memory: no offset mapping and no recursive entry is needed.
//!
//! ```
//! use highmem::linux::Set;
//! use highmem::paging::{Flags, PageSize};
//! use highmem::pagetable::{AddressSpace, Error, Pages, TableSource};
//! use highmem::{PageTableKernel, Pfn, SharedFrame, Task};
//!
//! type Space<K> = AddressSpace<K, SharedFrame<<K as highmem::Kernel>::Paging>>;
//!
//! /// Moves the page at `from` to `to`, for a process.
//! fn move_page<K: PageTableKernel<KmTypes = Set>>(
//!     task: &mut Task<'_, K>,
//!     space: &mut Space<K>,
//!     source: &mut impl TableSource<Frame = SharedFrame<K::Paging>>,
//!     (from, to): (usize, usize),
//! ) -> Result<(), Error> {
//!     let mut atomic = task.atomic();
//!     let slots = atomic.slots();
//!     let mut edit = space.edit(slots.pte0, slots.pte1, source);
//!     let Some(page) = edit.translate(from)? else { return Err(Error::NotMapped { address: from }) };
//!     // SAFETY: the frame is memory of the process, and stays allocated until it is unmapped at its new place.
//!     let new = unsafe { edit.map(to, page.pfn, PageSize::Small, page.flags) }?;
//!     let old = edit.unmap(Pages::one(from), |_| ())?;
//!     edit.flush_both(new, old);
//!     Ok(())
//! }
//! ```
//!
//! # Cost
//!
//! In mappings of tables: a walk has one for each level, and so has filling entries of one table, with those of the tables that they need anew. A range has
//! one for each table, and where it is longer than what 512 page tables cover (1024 without PAE), the tables above those one more, to see that
//! they are in order before anything is changed, or to take out what became empty. Giving a table back has one.
//!
//! # Large pages
//!
//! Mapped where the [`Layout`] has them, recognised by all operations, and split by those that are to change a part of one. The CPU may use
//! either translation then until it is flushed. Processors that do not like two translations of different size and permission for one
//! address (AMD's erratum 383) want [`Editor::split`], a flush, and then the change.

mod edit;
mod entry;
mod flush;
#[cfg(all(feature = "x86_64", target_arch = "x86_64"))]
mod mapper;
mod space;
mod table;
mod walk;

use core::fmt;
use core::ops::Range;

use crate::page::{Frame, Pfn, SharedFrame};
use crate::paging::{Layout, PAGE_SIZE, PageSize, Paging, Wrong};

pub use edit::Editor;
pub use entry::{Entry, EntryMut, Leaf, Pte};
pub use flush::{Cpus, MustFlush, Scope};
#[cfg(all(feature = "x86_64", target_arch = "x86_64"))]
pub use mapper::WindowMapper;
pub use space::{AddressSpace, RejectedRoot};

/// Pages that follow one another in an address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pages {
    /// The address of the first.
    pub start: usize,
    /// How many of [`PAGE_SIZE`].
    pub count: usize,
}

impl Pages {
    /// So many, from this address on.
    pub const fn new(start: usize, count: usize) -> Self {
        Self { start, count }
    }

    /// The page at this address.
    pub const fn one(address: usize) -> Self {
        Self { start: address, count: 1 }
    }
}

/// A frame that can be a table: a kernel's own type of frames, or [`SharedFrame`], or [`Frame`].
///
/// # Safety
/// The implementer promises:
///
/// - [ ] From [`into_pfn`](Self::into_pfn) to the [`from_pfn`](Self::from_pfn) that follows, if one ever does, the frame is ordinary memory that
///   nobody uses but whoever has its number, and its number is the same.
pub unsafe trait TableFrame: Sized {
    /// The paging mode whose frame numbers these are.
    type Paging: Paging;

    /// The frame, of which nobody is the owner from now on.
    fn into_pfn(self) -> Pfn<Self::Paging>;

    /// The owner of the frame again.
    ///
    /// # Safety
    /// The number is that of a value of this type, by [`into_pfn`](Self::into_pfn), of which no other value was made again.
    unsafe fn from_pfn(pfn: Pfn<Self::Paging>) -> Self;
}

// SAFETY: by its own `from_pfn`, nobody else uses the frame.
unsafe impl<M: Paging> TableFrame for Frame<M> {
    type Paging = M;

    fn into_pfn(self) -> Pfn<M> {
        self.into_pfn()
    }

    unsafe fn from_pfn(pfn: Pfn<M>) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::from_pfn(pfn) }
    }
}

// SAFETY: by its own `from_pfn`, the frame is allocated for this use, and nobody has a reference into it.
unsafe impl<M: Paging> TableFrame for SharedFrame<M> {
    type Paging = M;

    fn into_pfn(self) -> Pfn<M> {
        self.into_pfn()
    }

    unsafe fn from_pfn(pfn: Pfn<M>) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::from_pfn(pfn) }
    }
}

/// Where tables come from, and where they go back to.
///
/// Both functions are called with preemption off, and get no context: they cannot sleep. A kernel whose allocator does fills a stock before it
/// begins; a [`map`](Editor::map) needs one table less than there are levels at the most.
pub trait TableSource {
    /// What a table is made of.
    type Frame: TableFrame;

    /// A frame for a table, whatever is in it; `None` if there is none.
    fn take(&mut self) -> Option<Self::Frame>;

    /// Takes a frame back that is a table no longer. What is in it is no secret: some numbers of frames.
    fn give_back(&mut self, frame: Self::Frame);
}

/// Why an operation was not done. Then nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// An address is not a multiple of the page's size.
    Misaligned {
        /// The address.
        address: usize,
        /// The size, in bytes.
        align: usize,
    },
    /// No page can be at an address, or between the ends of the range: it is not canonical, or has more than 32 bits.
    NotCanonical {
        /// The address.
        address: usize,
    },
    /// An address is not one of those that the address space was made for.
    OutsideOfSpace {
        /// The address.
        address: usize,
    },
    /// The [`Layout`] has no pages of this size.
    NoSuchSize {
        /// The size.
        size: PageSize,
    },
    /// A large page begins at a frame whose number is a multiple of the number of frames that it has.
    MisalignedFrame {
        /// The number of the frame.
        pfn: usize,
    },
    /// The processor cannot address a frame, or with PAE, not as the top-level table.
    OutOfReach {
        /// The number of the frame.
        pfn: usize,
    },
    /// There is a page.
    AlreadyMapped {
        /// Where it begins.
        address: usize,
        /// How large it is.
        size: PageSize,
    },
    /// Smaller pages are, or can be, where a large page is to be.
    TableInTheWay {
        /// The address for which there is a table.
        address: usize,
    },
    /// Pages that are to be mapped together are not all of one page table.
    AcrossTables {
        /// The address of the first.
        address: usize,
    },
    /// There is no page.
    NotMapped {
        /// The address.
        address: usize,
    },
    /// The source has no frame for a table.
    NoFrame,
    /// An entry on the way says what no entry can say.
    Corrupt(Corrupt),
}

/// An entry that says what no entry can say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt {
    /// The first address that the entry stands for.
    pub address: usize,
    /// The level of its table: 1 for a page table.
    pub level: usize,
    /// The entry.
    pub entry: u64,
    /// What is wrong with it.
    pub wrong: Wrong,
}

impl From<Corrupt> for Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, level, entry, wrong } = self;
        let wrong = match wrong {
            Wrong::ReservedBit => "has a reserved bit set",
            Wrong::NoTable => "refers to a table where there is no memory",
        };
        write!(f, "the entry {entry:#x} for {address:#x} in a table of level {level} {wrong}")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned { address, align } => write!(f, "address {address:#x} is not a multiple of {align:#x}"),
            Self::NotCanonical { address } => write!(f, "no page can be at address {address:#x}"),
            Self::OutsideOfSpace { address } => write!(f, "address {address:#x} does not belong to the address space"),
            Self::NoSuchSize { size } => write!(f, "this layout has no pages of size {size:?}"),
            Self::MisalignedFrame { pfn } => write!(f, "no large page begins at pfn {pfn:#x}"),
            Self::OutOfReach { pfn } => write!(f, "the processor does not reach pfn {pfn:#x}"),
            Self::AlreadyMapped { address, size } => write!(f, "a page of size {size:?} is mapped at {address:#x}"),
            Self::TableInTheWay { address } => write!(f, "there is a table for smaller pages at {address:#x}"),
            Self::AcrossTables { address } => {
                write!(f, "pages from address {address:#x} on are not all of one page table")
            }
            Self::NotMapped { address } => write!(f, "no page is mapped at {address:#x}"),
            Self::NoFrame => f.write_str("there is no frame for a table"),
            Self::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl core::error::Error for Error {}
impl core::error::Error for Corrupt {}

/// Whether a page of this size can begin at this frame.
fn check_frame<M: Paging>(layout: Layout<M>, pfn: Pfn<M>, size: PageSize) -> Result<(), Error> {
    if size > layout.largest() {
        return Err(Error::NoSuchSize { size });
    }
    if !pfn.number().is_multiple_of(size.pages::<M>()) {
        return Err(Error::MisalignedFrame { pfn: pfn.number() });
    }
    if !layout.reaches(pfn, size) {
        return Err(Error::OutOfReach { pfn: pfn.number() });
    }
    Ok(())
}

/// The numbers of these pages, if pages can be there.
fn numbers<M: Paging>(layout: Layout<M>, pages: Pages) -> Result<Range<usize>, Error> {
    let Pages { start, count } = pages;
    if !start.is_multiple_of(PAGE_SIZE) {
        return Err(Error::Misaligned { address: start, align: PAGE_SIZE });
    }
    let first = layout.page(start).ok_or(Error::NotCanonical { address: start })?;
    let end = first.saturating_add(count);
    // The middle of what a processor in 64-bit mode has addresses for: what is above it is elsewhere.
    let half = 1 << (layout.page_bits() - 1);
    let limit = if M::LONG_MODE && first < half { half } else { half << 1 };
    if end > limit {
        return Err(Error::NotCanonical { address: layout.address(limit - 1).wrapping_add(PAGE_SIZE) });
    }
    Ok(first..end)
}

#[cfg(all(test, not(shuttle)))]
mod tests;
