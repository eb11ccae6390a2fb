//! Memory as this controller wants it: descriptors for the bus master, or pages for a handler that copies.
//!
//! A descriptor has 32 bits for an address and 16 for a length, which do not say no: a page above 4 GiB becomes another page, and a piece
//! over a multiple of 64 KiB goes on where those 64 KiB begin.
//!
//! So nobody writes a descriptor but [`Descriptors::of`], which refuses what does not fit, and cuts what has to be cut.
//!
//! [`PioMemory`], for the handler, is safe to implement: it names no address.

use alloc::boxed::Box;
use alloc::vec::Vec;

use highmem::linux::{BioDstIrq, BioSrcIrq};
use highmem::ops::{Segment, sg_pcopy_from_buffer, sg_pcopy_to_buffer, sg_total_len};
use highmem::page::{Memory, Writable};
use highmem::{PAGE_SIZE, PageRun};

use crate::disk::{DmaMemory, Error, SECTOR, sectors};
use crate::kmap::{Paging, Slot};

/// Memory that a handler can copy a sector to and from.
pub trait PioMemory: Send + 'static {
    /// How many bytes there are; `None` if they are beyond number.
    fn size(&self) -> Option<usize>;

    /// Copies a sector in, `at` bytes from the start.
    fn put(&mut self, slot: Slot<'_, BioDstIrq>, at: usize, sector: &[u8; SECTOR]);

    /// Copies a sector out.
    fn get(&mut self, slot: Slot<'_, BioSrcIrq>, at: usize, sector: &mut [u8; SECTOR]);
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
