//! Bounce buffers: what a device cannot reach goes through a low page.
//!
//! In C, a disk that addresses 32 bits is to write out a page above 4 GiB, because memory is short. The driver allocates a low page to copy
//! it through. Memory is short, so the allocator writes out pages to have one: through this driver, which allocates. Each of them waits for
//! a page that only the end of another's transfer can free, and none begins. Two tasks that take their pages one by one, and have half of
//! them each, get there without an allocator. Nor does the copy come to its end if it waits for an entry of the [pool](crate::pool) that
//! somebody holds who waits for the disk; and one that is made in the interrupt handler by the task's slot, so as not to wait, writes into
//! the page that the interrupted task is reading. All of it works until the day on which memory is short.
//!
//! The rule (I7): what a transfer needs was set aside before. A [`Reserve`] has pages for nothing else, which come back when the device is
//! done, whatever else waits. A request takes all that it needs at once, in the order in which requests came, and who waits has none.
//! Copies are made in slots: for a write before the transfer, in a task; for a read behind it, in the handler, with interrupts off.
//!
//! The types say it: whoever sleeps for pages of a reserve takes `&mut Task`, which a [`Prepared`] request and each mapping of the pool hold, and
//! which no handler has. A request is `Prepared`, then [`Submitted`], then [`Completed`], each made of the one before; a submitted one gives
//! no page out, and is completed with the token of a slot that only exists with interrupts off.
//!
//! # Who owns the pages
//!
//! The request, by value and for good (I5): the pages that it moves, and those that it bounces through. A borrow would end when the request
//! is forgotten (`mem::forget`), and the device would go on writing. So a request that is forgotten, or dropped between submission and
//! completion, leaks its pages: nobody ever uses them again. [`ReserveStats`] counts them, and who waits for more than are left is told.
//! Before submission and after completion, dropping a request gives everything back.
//!
//! ```
//! use highmem::bounce::{Extent, Refused, Reserve, Segments, Submitted};
//! use highmem::linux::{Set, User0};
//! use highmem::{BounceKernel, Frame, FrameRun, HardIrq, Task};
//!
//! # fn program_the_device(_: impl Iterator<Item = Extent>) {}
//! # type Low<K> = Frame<<K as highmem::Kernel>::Paging>;
//! # type High<K> = FrameRun<<K as highmem::Kernel>::Paging>;
//! /// Up to 8 page parts, by a reserve of 16 pages.
//! type Request<'r, K> = Submitted<'r, K, High<K>, Low<K>, 16, 8>;
//!
//! fn read_pages<'r, K: BounceKernel<KmTypes = Set>>(
//!     task: &mut Task<'_, K>,
//!     reserve: &'r Reserve<K, Low<K>, 16>,
//!     pages: Segments<High<K>, 8>,
//! ) -> Result<Request<'r, K>, Refused<High<K>, 8>> {
//!     let (prepared, _may_sleep) = reserve.read(task, pages)?; // may sleep for low pages
//!     let request = prepared.submit();
//!     program_the_device(request.extents());
//!     Ok(request)
//! }
//!
//! fn interrupt<K: BounceKernel<KmTypes = Set>>(irq: &mut HardIrq<'_, K>, request: Request<'_, K>, came: usize) {
//!     // SAFETY: the device has said that it is done.
//!     let done = unsafe { request.complete::<_, ()>(irq.slots().bounce_read, Ok(came)) };
//!     assert_eq!(done.result, Ok(came));
//! }
//! ```

mod request;
mod reserve;
mod segments;

use core::fmt;

use crate::ops::{PageRun, Segment};
use crate::page::Pfn;
use crate::paging::{PAGE_SHIFT, PAGE_SIZE, Paging};

pub use request::{Completed, Direction, Prepared, Submitted};
pub use reserve::{Rejected, Rejection, Reserve, ReserveStats};
pub use segments::{Segments, TooMany};

/// What a device can address: all that so many address bits express.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    bits: u32,
}

impl Reach {
    /// 16 MiB: ISA. Linux: `DMA_BIT_MASK(24)`.
    pub const ISA: Self = Self { bits: 24 };

    /// 4 GiB: 32 address bits. Linux: `DMA_BIT_MASK(32)`.
    pub const FOUR_GIB: Self = Self { bits: 32 };

    /// So many address bits: from 12, which is one page, to 64. Linux: `DMA_BIT_MASK(n)`.
    ///
    /// # Errors
    /// When there are fewer or more.
    pub const fn of_bits(bits: u32) -> Result<Self, ReachError> {
        if bits < PAGE_SHIFT || bits > u64::BITS { Err(ReachError { bits }) } else { Ok(Self { bits }) }
    }

    /// The last address.
    #[inline]
    pub const fn last(self) -> u64 {
        u64::MAX >> (u64::BITS - self.bits)
    }

    /// Whether the device reaches all bytes of this frame.
    #[inline]
    pub const fn covers<M: Paging>(self, pfn: Pfn<M>) -> bool {
        self.covers_page(pfn.number() as u64)
    }

    /// Whether the device reaches all bytes of this segment.
    pub fn covers_segment<R: PageRun>(self, segment: &Segment<R>) -> bool {
        match segment.len() {
            0 => true,
            len => self.covers_page(page_of(segment, segment.offset() + len - 1)),
        }
    }

    const fn covers_page(self, number: u64) -> bool {
        number <= self.last() >> PAGE_SHIFT
    }
}

/// The number of the frame that has the byte at this offset of the segment's run.
fn page_of<R: PageRun>(segment: &Segment<R>, offset: usize) -> u64 {
    segment.run().first().number() as u64 + (offset / PAGE_SIZE) as u64
}

/// No device has so many address bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReachError {
    bits: u32,
}

impl fmt::Display for ReachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a device reaches memory by 12 to 64 address bits, not {}", self.bits)
    }
}

impl core::error::Error for ReachError {}

/// Bytes for the device: their physical address, and how many they are. All of them are in one page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// The physical address of the first.
    pub address: u64,
    /// How many.
    pub len: usize,
}

/// Why a request got no pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// It needs more pages than the reserve has, and would wait for ever.
    TooLarge {
        /// How many it needs.
        needed: usize,
        /// How many the reserve has, but for those that were lost with requests.
        pages: usize,
    },
    /// So many pages are not there now, or others wait for them. Of `try_` alone.
    Exhausted,
    /// The kernel ended the wait: [`BounceKernel::wait`](crate::BounceKernel::wait) gave up.
    GaveUp,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { needed, pages } => {
                write!(f, "a request needs {needed} bounce pages, and the reserve has {pages}")
            }
            Self::Exhausted => f.write_str("the reserve of bounce pages is exhausted"),
            Self::GaveUp => f.write_str("the wait for bounce pages was interrupted"),
        }
    }
}

/// The segments of a request that got no pages, and why. They come back.
pub struct Refused<R, const N: usize> {
    /// The segments.
    pub segments: Segments<R, N>,
    /// Why.
    pub why: Refusal,
}

impl<R, const N: usize> fmt::Display for Refused<R, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

// Whatever the pages are: so that `unwrap` is there for all of them.
impl<R, const N: usize> fmt::Debug for Refused<R, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<R, const N: usize> core::error::Error for Refused<R, N> {}

#[cfg(all(test, not(shuttle)))]
mod tests;
