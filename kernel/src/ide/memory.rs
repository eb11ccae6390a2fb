//! Memory for a disk's data: by address, for a device that goes there itself, or by page, for a handler that copies.
//!
//! A buffer on the stack, a page that was freed too early: a device knows nothing of lifetimes, and writes to the address it was given.
//!
//! So memory is handed over by value with the request, and comes back when the device has stopped.
//!
//! [`DmaMemory`] is `unsafe` to implement, for it says where a device will write, and asks for `'static`; a list of segments of highmem's
//! own has it for nothing. [`PioMemory`] is not: it names no address.

use alloc::boxed::Box;
use alloc::vec::Vec;

use highmem::linux::{BioDstIrq, BioSrcIrq};
use highmem::ops::{Segment, sg_pcopy_from_buffer, sg_pcopy_to_buffer, sg_total_len};
use highmem::page::{Memory, Writable};
use highmem::{PAGE_SIZE, PageRun};

use super::ports::SECTOR;
use super::{Error, MAX_SECTORS};
use crate::kmap::{Paging, Slot};

/// Memory that a device can be told to read and write.
///
/// # Safety
///
/// As long as the value lives, wherever it is moved, the segments are the same, and lie in RAM that the device may read and write at any
/// time: nobody else relies on what is there, but through the value.
pub unsafe trait DmaMemory: Send + 'static {
    /// The physical address and the length of each piece, in bytes, in the order of the data.
    fn segments(&self) -> impl Iterator<Item = (u64, usize)>;
}

/// Memory that a handler can copy a sector to and from.
pub trait PioMemory: Send + 'static {
    /// How many bytes there are; `None` if they are beyond number.
    fn size(&self) -> Option<usize>;

    /// Copies a sector in, `at` bytes from the start.
    fn put(&mut self, slot: Slot<'_, BioDstIrq>, at: usize, sector: &[u8; SECTOR]);

    /// Copies a sector out.
    fn get(&mut self, slot: Slot<'_, BioSrcIrq>, at: usize, sector: &mut [u8; SECTOR]);
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

impl<R> PioMemory for Vec<Segment<R>>
where
    R: PageRun<Paging = Paging, Access: Memory + Writable> + Send + 'static,
{
    fn size(&self) -> Option<usize> {
        sg_total_len(self)
    }

    fn put(&mut self, slot: Slot<'_, BioDstIrq>, at: usize, sector: &[u8; SECTOR]) {
        let copied = sg_pcopy_from_buffer(slot, self, sector, at);
        assert_eq!(copied, SECTOR, "the request is longer than its memory");
    }

    fn get(&mut self, slot: Slot<'_, BioSrcIrq>, at: usize, sector: &mut [u8; SECTOR]) {
        let copied = sg_pcopy_to_buffer(sector, slot, self, at);
        assert_eq!(copied, SECTOR, "the request is longer than its memory");
    }
}

/// A sector in the kernel's own memory, for what the device says about itself.
impl PioMemory for Box<[u8; SECTOR]> {
    fn size(&self) -> Option<usize> {
        Some(SECTOR)
    }

    fn put(&mut self, _slot: Slot<'_, BioDstIrq>, _at: usize, sector: &[u8; SECTOR]) {
        **self = *sector;
    }

    fn get(&mut self, _slot: Slot<'_, BioSrcIrq>, _at: usize, sector: &mut [u8; SECTOR]) {
        *sector = **self;
    }
}

/// How many sectors so many bytes are.
pub(super) fn sectors(len: Option<usize>) -> Result<u16, Error> {
    let len = len.ok_or(Error::Length)?;
    let sectors = u16::try_from(len / SECTOR).ok().filter(|sectors| (1..=MAX_SECTORS).contains(sectors));
    sectors.filter(|_| len.is_multiple_of(SECTOR)).ok_or(Error::Length)
}

/// Physical region descriptors, as the bus master reads them: each an address, and a length with a mark on the last.
#[derive(Debug)]
pub struct Descriptors {
    words: Vec<[u32; 2]>,
    sectors: u16,
}

/// Behind the last address that a descriptor can have.
const REACH: u64 = 1 << 32;
/// No descriptor goes over a multiple of this.
const BOUNDARY: u64 = 1 << 16;
const LAST: u32 = 1 << 31;

impl Descriptors {
    /// As many as a page holds, which is where they are put.
    const MAX: usize = PAGE_SIZE / size_of::<[u32; 2]>();

    /// Those of some memory.
    ///
    /// # Errors
    ///
    /// Those of [`Disk::read_dma`](super::Disk::read_dma) that are about memory.
    pub fn of(memory: &impl DmaMemory) -> Result<Self, Error> {
        let mut words = Vec::new();
        let mut total = Some(0_usize);
        for (start, len) in memory.segments() {
            total = total.and_then(|total| total.checked_add(len));
            let end = start.checked_add(len as u64).filter(|end| *end <= REACH).ok_or(Error::OutOfReach(start))?;
            if start % 2 != 0 || len % 2 != 0 {
                return Err(Error::Unaligned(start));
            }
            let mut at = start;
            while at < end {
                let next = end.min((at / BOUNDARY + 1) * BOUNDARY);
                if words.len() == Self::MAX {
                    return Err(Error::TooManySegments);
                }
                // A length of 64 KiB is written as 0.
                words.push([at as u32, (next - at) as u32 & 0xffff]);
                at = next;
            }
        }
        let sectors = sectors(total)?;
        if let Some([_, len]) = words.last_mut() {
            *len |= LAST;
        }
        Ok(Self { words, sectors })
    }

    /// How many sectors they are in all.
    pub(super) fn sectors(&self) -> u16 {
        self.sectors
    }

    /// Address and length of each, with all bits.
    pub fn words(&self) -> &[[u32; 2]] {
        &self.words
    }

    pub(super) fn into_words(self) -> Vec<[u32; 2]> {
        self.words
    }
}
