//! Memory for a disk's data, by address: for a device that goes there itself.
//!
//! A buffer on the stack, a page that was freed too early, one beyond the device's address lines: a device knows nothing of lifetimes, and
//! writes to the address it was given, as far as it can express it.
//!
//! So memory is handed over by value with the request, and comes back when the device has stopped; what the device does not reach is
//! bounced.
//!
//! [`DmaMemory`] is `unsafe` to implement, for it says where a device will write, and asks for `'static`; a list of segments of highmem's
//! own has it for nothing, and so has a bounced request of highmem's, [`Bounced`].

use alloc::vec::Vec;
use core::mem;

use highmem::bounce::{Completed, Segments, Submitted};
use highmem::linux::BounceRead;
use highmem::ops::Segment;
use highmem::page::{Memory, Writable};
use highmem::{PAGE_SIZE, PageRun};

use super::{Error, MAX_SECTORS, SECTOR};
use crate::frames::Frame;
use crate::kmap::{ExampleKernel, Paging, Slot};

/// Memory that a device can be told to read and write.
///
/// # Safety
///
/// As long as the value lives and has not been told of its [end](Self::end), wherever it is moved, the segments are the same, and lie in RAM
/// that the device may read and write at any time: nobody else relies on what is there, but through the value.
pub unsafe trait DmaMemory: Send + 'static {
    /// The physical address and the length of each piece, in bytes, in the order of the data.
    fn segments(&self) -> impl Iterator<Item = (u64, usize)>;

    /// The device is done, with all of it if `result` does not say otherwise. With interrupts off.
    ///
    /// # Safety
    ///
    /// Called once. The device does not access the segments from now on.
    unsafe fn end(&mut self, slot: Slot<'_, BounceRead>, result: Result<(), Error>) {
        let _ = (slot, result);
    }
}

// SAFETY: I5, I6: the runs are RAM that is the value's own, or that others may write at any time. What is at a run's first frame and what
// follows does not change.
unsafe impl<R> DmaMemory for Vec<Segment<R>>
where
    R: PageRun<Paging = Paging, Access: Memory + Writable> + Send + 'static,
{
    fn segments(&self) -> impl Iterator<Item = (u64, usize)> {
        self.iter().map(|segment| {
            let page = segment.run().first().number() as u64;
            (page * PAGE_SIZE as u64 + segment.offset() as u64, segment.len())
        })
    }
}

/// A request that goes through a reserve where it has to: at the device, or back.
pub enum Bounced<R, const PAGES: usize, const N: usize>
where
    R: PageRun<Paging = Paging> + Send + 'static,
{
    /// The device has it.
    Submitted(Submitted<'static, ExampleKernel, R, Frame, PAGES, N>),
    /// The device is done with it.
    Completed(Completed<R, Error, N>),
    /// In between.
    Gone,
}

impl<R, const PAGES: usize, const N: usize> Bounced<R, PAGES, N>
where
    R: PageRun<Paging = Paging> + Send + 'static,
{
    /// The pages of a request that has ended.
    ///
    /// # Panics
    ///
    /// If it has not.
    pub fn into_pages(self) -> Segments<R, N> {
        match self {
            Self::Completed(completed) => completed.segments,
            _ => panic!("a request that is at the device keeps its pages"),
        }
    }
}

// SAFETY: I5: a submitted request owns the pages that it names, and those of the reserve, until it is completed; dropped before that, it leaks
// them.
unsafe impl<R, const PAGES: usize, const N: usize> DmaMemory for Bounced<R, PAGES, N>
where
    R: PageRun<Paging = Paging> + Send + 'static,
{
    fn segments(&self) -> impl Iterator<Item = (u64, usize)> {
        let submitted = match self {
            Self::Submitted(submitted) => Some(submitted),
            _ => None,
        };
        submitted.into_iter().flat_map(|submitted| submitted.extents().map(|extent| (extent.address, extent.len)))
    }

    unsafe fn end(&mut self, slot: Slot<'_, BounceRead>, result: Result<(), Error>) {
        if let Self::Submitted(submitted) = mem::replace(self, Self::Gone) {
            // As many as there are: a transfer that ends short is an error of the driver's.
            let outcome = result.map(|()| usize::MAX);
            // SAFETY: by this function's contract.
            *self = Self::Completed(unsafe { submitted.complete(slot, outcome) });
        }
    }
}

/// How many sectors so many bytes are.
pub(crate) fn sectors(len: Option<usize>) -> Result<u16, Error> {
    let len = len.ok_or(Error::Length)?;
    let sectors = u16::try_from(len / SECTOR).ok().filter(|sectors| (1..=MAX_SECTORS).contains(sectors));
    sectors.filter(|_| len.is_multiple_of(SECTOR)).ok_or(Error::Length)
}
