//! Memory for tests of disks: runs of frames, what to fill them with, and addresses where no device is to go.

use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZero;

use highmem::ops::{Segment, memcpy_from_run, memcpy_to_run};
use highmem::page::ReadWrite;
use highmem::{Page, PageRun, Pfn};
use kernel::disk::DmaMemory;
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{Paging, Task};

pub const PAGE: usize = highmem::PAGE_SIZE;

/// Frames of the allocator that follow one another.
#[derive(Debug)]
pub struct Run(Vec<Frame>);

// SAFETY: I5, I6: the frames are this value's, and `Run::new` has looked whether they follow one another.
unsafe impl PageRun for Run {
    type Paging = Paging;
    type Access = ReadWrite;

    fn first(&self) -> Pfn<Paging> {
        self.0[0].pfn()
    }

    fn pages(&self) -> NonZero<usize> {
        NonZero::new(self.0.len()).expect("a run has a page")
    }
}

pub type Memory = Vec<Segment<Run>>;

impl Run {
    pub fn new(zone: Zone, pages: usize) -> Self {
        let mut others = Vec::new();
        loop {
            let first = frames::alloc(zone)
                .unwrap_or_else(|| panic!("no frames free in zone {zone}: start this with 6 GiB (--mem 6G)"));
            let number = first.pfn().number();
            let mut run = vec![first];
            run.extend((1..pages).map_while(|next| frames::alloc_at(number + next)));
            if run.len() == pages {
                assert!(run.iter().enumerate().all(|(next, frame)| frame.pfn().number() == number + next));
                return Self(run);
            }
            others.push(run);
        }
    }

    /// With these bytes, and the rest of the last page as it is.
    pub fn of(task: &mut Task<'_>, zone: Zone, bytes: &[u8]) -> Self {
        let mut run = Self::new(zone, bytes.len().div_ceil(PAGE));
        memcpy_to_run(task.atomic().slots().user0, &mut run, 0, bytes).expect("it has the length");
        run
    }

    pub fn bytes(&self, task: &mut Task<'_>, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        memcpy_from_run(&mut bytes, task.atomic().slots().user0, self, offset).expect("within the run");
        bytes
    }
}

/// Bytes that differ from their neighbours, from those a sector away, and from those with another seed.
pub fn pattern(seed: u32, len: usize) -> Vec<u8> {
    let byte = |at: usize| ((at as u32).wrapping_mul(0x9e37_79b1) ^ seed.wrapping_mul(0x85eb_ca6b)) >> 24;
    (0..len).map(|at| (byte(at) ^ at as u32) as u8).collect()
}

pub fn segment(run: Run, offset: usize, len: usize) -> Memory {
    vec![Segment::new(run, offset, len).expect("within the run")]
}

/// The pieces of some memory one after the other.
pub fn gather(task: &mut Task<'_>, memory: &Memory) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in memory {
        bytes.extend(piece.run().bytes(task, piece.offset(), piece.len()));
    }
    bytes
}

/// Addresses where a device is not to go: no device is told of them.
#[derive(Debug)]
pub struct At(pub Vec<(u64, usize)>);

// SAFETY: not kept. A request with one of these lists has to be refused, and a test fails that finds that it was not.
unsafe impl DmaMemory for At {
    fn segments(&self) -> impl Iterator<Item = (u64, usize)> {
        self.0.iter().copied()
    }
}
