//! Physical memory: page frames that take room on the host only once they have been used.

use core::fmt;
use core::marker::PhantomData;
use core::num::NonZero;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::{pread, pwrite};

use super::machine::Inner;
use crate::page::{ReadWrite, Volatile};
use crate::paging::{PAGE_SHIFT, PAGE_SIZE, Paging};
use crate::{Page, PageBytes, PageRun, Pfn};

/// The bytes of a frame that has just been handed out.
pub const FRESH: u8 = 0xaa;

/// The bytes of a frame that has been given back.
pub const FREED: u8 = 0xdd;

/// Where a frame lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Zone {
    /// In the direct map.
    Low,
    /// Beyond it: the highest frames come first, so that most numbers do not fit into 32 bits as addresses.
    High,
}

/// Who may touch a frame that has been handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    Owned,
    Shared,
}

#[derive(Debug)]
struct Frames {
    used: BTreeMap<usize, Use>,
    /// Whose memory is broken, and from which byte on.
    broken: BTreeMap<usize, usize>,
    /// Given back, by zone; the last one is the first to be handed out again.
    free: [Vec<usize>; 2],
    /// Never handed out: from here upwards, and from here downwards.
    next: [usize; 2],
}

/// All frames of a machine.
#[derive(Debug)]
pub(super) struct Memory {
    file: OwnedFd,
    count: usize,
    low: usize,
    frames: Mutex<Frames>,
}

impl Memory {
    /// Memory with `count` frames, the first `low` of which are lowmem.
    pub(super) fn new(count: usize, low: usize) -> Self {
        let file = memfd_create("highmem-model", MemfdFlags::CLOEXEC).expect("the host has memory files");
        ftruncate(&file, (count as u64) << PAGE_SHIFT).expect("the host has sparse files of this size");
        // Frame 0 is never handed out: it would hide a pfn that was never set.
        let frames =
            Frames { used: BTreeMap::new(), broken: BTreeMap::new(), free: Default::default(), next: [1, count] };
        Self { file, count, low, frames: Mutex::new(frames) }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// # Safety
    /// Nobody uses it when the memory is gone.
    pub(super) unsafe fn file(&self) -> BorrowedFd<'static> {
        // SAFETY: the caller's promise.
        unsafe { BorrowedFd::borrow_raw(self.file.as_raw_fd()) }
    }

    fn frames(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alloc(&self, zone: Zone) -> Option<usize> {
        let frames = &mut *self.frames();
        let found = loop {
            let candidate = match (frames.free[zone as usize].pop(), zone) {
                (Some(pfn), _) => pfn,
                (None, Zone::Low) if frames.next[0] < self.low => {
                    frames.next[0] += 1;
                    frames.next[0] - 1
                }
                (None, Zone::High) if frames.next[1] > self.low.max(1) => {
                    frames.next[1] -= 1;
                    frames.next[1]
                }
                _ => return None,
            };
            if !frames.used.contains_key(&candidate) {
                break candidate;
            }
        };
        frames.used.insert(found, Use::Owned);
        Some(found)
    }

    /// Frames that follow one another and were never handed out; the first of them. What is passed over is handed out later.
    fn alloc_run(&self, zone: Zone, pages: usize) -> Option<usize> {
        let frames = &mut *self.frames();
        loop {
            let (first, end) = match zone {
                Zone::Low => (frames.next[0], frames.next[0].checked_add(pages).filter(|&end| end <= self.low)?),
                Zone::High => {
                    let first = frames.next[1].checked_sub(pages).filter(|&first| first >= self.low.max(1))?;
                    (first, frames.next[1])
                }
            };
            let in_use = frames.used.range(first..end).next().map(|(&pfn, _)| pfn);
            let passed = match (in_use, zone) {
                (None, Zone::Low) => end,
                (None, Zone::High) => first,
                (Some(pfn), Zone::Low) => pfn + 1,
                (Some(pfn), Zone::High) => pfn,
            };
            frames.next[zone as usize] = passed;
            let Some(pfn) = in_use else {
                frames.used.extend((first..end).map(|pfn| (pfn, Use::Owned)));
                return Some(first);
            };
            frames.free[zone as usize].extend(if zone == Zone::Low { first..pfn } else { pfn + 1..end });
        }
    }

    fn alloc_at(&self, pfn: usize) -> bool {
        let frames = &mut *self.frames();
        (1..self.count).contains(&pfn)
            && !frames.used.contains_key(&pfn)
            && frames.used.insert(pfn, Use::Owned).is_none()
    }

    fn free(&self, pfn: usize) {
        self.fill(pfn, FREED);
        let frames = &mut *self.frames();
        frames.used.remove(&pfn);
        frames.broken.remove(&pfn);
        frames.free[usize::from(pfn >= self.low)].push(pfn);
    }

    fn fill(&self, pfn: usize, byte: u8) {
        self.write(pfn, 0, &[byte; PAGE_SIZE]);
    }

    fn write(&self, pfn: usize, at: usize, bytes: &[u8]) {
        let written = pwrite(&self.file, bytes, ((pfn << PAGE_SHIFT) + at) as u64).expect("the file can be written");
        assert_eq!(written, bytes.len(), "the host is out of memory");
    }

    /// The bytes of a frame.
    pub(super) fn peek(&self, pfn: usize) -> PageBytes {
        assert!(pfn < self.count, "pfn {pfn:#x} is beyond the end of memory, {:#x}", self.count);
        let mut bytes = [0; PAGE_SIZE];
        let read = pread(&self.file, &mut bytes[..], (pfn << PAGE_SHIFT) as u64).expect("the file can be read");
        assert_eq!(read, PAGE_SIZE);
        bytes
    }

    /// Writes to a frame that is shared, as a device does.
    pub(super) fn poke(&self, pfn: usize, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= PAGE_SIZE, "{} bytes at {at} go over the end of a page", bytes.len());
        // Held meanwhile: the frame stays what it is.
        let frames = self.frames();
        let used = frames.used.get(&pfn);
        assert_eq!(
            used,
            Some(&Use::Shared),
            "pfn {pfn:#x} is not shared memory: others must not write it (`Frame::share`)"
        );
        self.write(pfn, at, bytes);
    }

    /// Breaks a frame from byte `at` on.
    pub(super) fn poison(&self, pfn: usize, at: usize) {
        assert!(at <= PAGE_SIZE, "a page has no byte {at}");
        let frames = &mut *self.frames();
        assert!(frames.used.contains_key(&pfn), "pfn {pfn:#x} is not in use");
        frames.broken.insert(pfn, at);
    }

    /// How many bytes of a frame come before the first that is broken.
    pub(super) fn whole(&self, pfn: usize) -> usize {
        self.frames().broken.get(&pfn).copied().unwrap_or(PAGE_SIZE)
    }

    /// How many frames are in use.
    pub(super) fn used(&self) -> usize {
        self.frames().used.len()
    }
}

/// Frames that follow one another, until it is dropped.
struct Holding<P> {
    pfn: usize,
    pages: NonZero<usize>,
    inner: Arc<Inner>,
    paging: PhantomData<fn() -> P>,
}

impl<P: Paging> Holding<P> {
    fn pfn(&self) -> Pfn<P> {
        Pfn::new(self.pfn as u64).expect("memory ends where the paging mode's numbers do")
    }

    fn fresh(inner: &Arc<Inner>, pfn: usize, pages: NonZero<usize>) -> Self {
        for pfn in pfn..pfn + pages.get() {
            inner.memory.fill(pfn, FRESH);
        }
        Self { pfn, pages, inner: inner.clone(), paging: PhantomData }
    }

    /// Lets others write them.
    fn share(self) -> Self {
        let mut frames = self.inner.memory.frames();
        frames.used.extend((self.pfn..self.pfn + self.pages.get()).map(|pfn| (pfn, Use::Shared)));
        drop(frames);
        self
    }
}

impl<P> Drop for Holding<P> {
    fn drop(&mut self) {
        for pfn in self.pfn..self.pfn + self.pages.get() {
            self.inner.memory.free(pfn);
        }
    }
}

/// A page frame of a [`Machine`](super::Machine) that belongs to this value alone. It frees itself.
///
/// Its first bytes are [`FRESH`]. After it has been freed they are [`FREED`], and it is the first to be handed out again.
pub struct Frame<P>(Holding<P>);

/// A page frame of a [`Machine`](super::Machine) that others may write at any time: [`Machine::poke`](super::Machine::poke) does, as a
/// device would. It frees itself.
pub struct SharedFrame<P>(Holding<P>);

impl<P: Paging> Frame<P> {
    pub(super) fn alloc(inner: &Arc<Inner>, zone: Zone) -> Option<Self> {
        inner.memory.alloc(zone).map(|pfn| Self(Holding::fresh(inner, pfn, NonZero::<usize>::MIN)))
    }

    pub(super) fn alloc_at(inner: &Arc<Inner>, pfn: usize) -> Option<Self> {
        inner.memory.alloc_at(pfn).then(|| Self(Holding::fresh(inner, pfn, NonZero::<usize>::MIN)))
    }

    /// Lets others write it.
    pub fn share(self) -> SharedFrame<P> {
        SharedFrame(self.0.share())
    }
}

/// Page frames of a [`Machine`](super::Machine) that follow one another and belong to this value alone. They free themselves. Otherwise
/// as [`Frame`].
pub struct FrameRun<P>(Holding<P>);

/// Page frames of a [`Machine`](super::Machine) that follow one another, and that others may write at any time. They free themselves.
/// Otherwise as [`SharedFrame`].
pub struct SharedFrameRun<P>(Holding<P>);

impl<P: Paging> FrameRun<P> {
    pub(super) fn alloc(inner: &Arc<Inner>, zone: Zone, pages: NonZero<usize>) -> Option<Self> {
        inner.memory.alloc_run(zone, pages.get()).map(|pfn| Self(Holding::fresh(inner, pfn, pages)))
    }

    /// Lets others write them.
    pub fn share(self) -> SharedFrameRun<P> {
        SharedFrameRun(self.0.share())
    }
}

/// Implements [`Page`] for a frame of a machine.
macro_rules! page {
    ($($name:ident: $access:ty;)*) => {$(
        // SAFETY: I5, I6: the frame was handed out to this value alone, which is not `Clone`, until it is dropped; only a shared frame
        // is written by others. It is memory, and mapped write-back.
        unsafe impl<P: Paging> Page for $name<P> {
            type Paging = P;
            type Access = $access;

            fn pfn(&self) -> Pfn<P> {
                self.0.pfn()
            }
        }

        impl<P: Paging> fmt::Debug for $name<P> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.pfn())
            }
        }
    )*};
}

page! {
    Frame: ReadWrite;
    SharedFrame: Volatile;
}

/// Implements [`PageRun`] for frames of a machine that follow one another.
macro_rules! run {
    ($($name:ident: $access:ty;)*) => {$(
        // SAFETY: I5, I6: as of a single frame, for each. A machine's memory has fewer bytes than there are addresses, and ends where the
        // paging mode's numbers do.
        unsafe impl<P: Paging> PageRun for $name<P> {
            type Paging = P;
            type Access = $access;

            fn first(&self) -> Pfn<P> {
                self.0.pfn()
            }

            fn pages(&self) -> NonZero<usize> {
                self.0.pages
            }
        }

        impl<P: Paging> fmt::Debug for $name<P> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?}, {} pages)", stringify!($name), self.first(), self.pages())
            }
        }
    )*};
}

run! {
    FrameRun: ReadWrite;
    SharedFrameRun: Volatile;
}
