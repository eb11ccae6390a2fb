//! The machine's disk, whatever its driver, for pages wherever they are.
//!
//! What becomes of a page that the device does not reach is in C the business of each driver: one copies it in its interrupt handler with a
//! slot of the task, another allocates a page to copy it through, which waits for memory that only the end of its own transfer frees.
//!
//! A request goes to a driver with addresses that the device reaches, and no page is allocated on the way: not when pages are what the disk
//! is to make room for. (The few words that describe a request are the heap's, which has its memory from the start.)
//!
//! So pages go in as highmem's [`Segments`], by a [`Reserve`] that the caller has filled long before; they come back as they went in.

use highmem::PageRun;
use highmem::bounce::{Prepared, Refused, Reserve, Segments};
use highmem::page::{Memory, Writable};

use core::time::Duration;

use super::job::end_in_thread;
use super::{Bounced, DmaMemory, Error, Failure, Fault, Pending, Stats};
use crate::frames::Frame;
use crate::ide;
use crate::kmap::{ExampleKernel, MaySleep, Paging, Task};
#[cfg(target_arch = "x86_64")]
use crate::virtio;

/// A disk.
#[derive(Clone, Debug)]
pub enum Disk {
    /// On the PIIX3's IDE controller.
    Ide(ide::Disk),
    /// On virtio.
    #[cfg(target_arch = "x86_64")]
    Virtio(virtio::Disk),
}

/// A request for pages that a device has, or had.
#[must_use = "the pages come back by `wait`"]
pub struct PendingPages<R, const PAGES: usize, const N: usize>(Pending<Bounced<R, PAGES, N>>)
where
    R: PageRun<Paging = Paging> + Send + 'static;

/// Pages, and what comes of a request for them.
type Begun<R, const PAGES: usize, const N: usize> = Result<PendingPages<R, PAGES, N>, Failure<Segments<R, N>>>;

impl<R, const PAGES: usize, const N: usize> PendingPages<R, PAGES, N>
where
    R: PageRun<Paging = Paging> + Send + 'static,
{
    /// Sleeps until the request has ended, and gives the pages.
    ///
    /// # Errors
    ///
    /// As [`Pending::wait`].
    ///
    /// # Panics
    ///
    /// As [`Pending::wait`].
    #[track_caller]
    pub fn wait(self, task: &mut MaySleep<'_>) -> Result<Segments<R, N>, Failure<Segments<R, N>>> {
        match self.0.wait(task) {
            Ok(bounced) => Ok(bounced.into_pages()),
            Err(Failure { error, memory }) => Err(Failure { error, memory: memory.into_pages() }),
        }
    }
}

impl Disk {
    /// The first disk of the machine: one on virtio, in 64-bit mode, and else one on IDE.
    ///
    /// # Errors
    ///
    /// [`Error::NoDisk`], [`Error::Unsupported`], or what comes of asking the disk what it is.
    ///
    /// # Panics
    ///
    /// If a context was forgotten, so that this thread must not sleep; or if there is no frame of lowmem left.
    #[track_caller]
    pub fn open(task: &mut MaySleep<'_>) -> Result<Self, Error> {
        #[cfg(target_arch = "x86_64")]
        match virtio::Disk::open(task) {
            Err(Error::NoDisk) => {}
            opened => return opened.map(Self::Virtio),
        }
        ide::Disk::open(task).map(Self::Ide)
    }

    /// How many sectors it says it has.
    pub fn sectors(&self) -> u64 {
        match self {
            Self::Ide(disk) => disk.sectors(),
            #[cfg(target_arch = "x86_64")]
            Self::Virtio(disk) => disk.sectors(),
        }
    }

    /// What the driver has counted.
    pub fn stats(&self) -> Stats {
        match self {
            Self::Ide(disk) => disk.stats(),
            #[cfg(target_arch = "x86_64")]
            Self::Virtio(disk) => disk.stats(),
        }
    }

    /// Has something go wrong with the next request.
    pub fn break_next(&self, fault: Fault) {
        match self {
            Self::Ide(disk) => disk.break_next(fault),
            #[cfg(target_arch = "x86_64")]
            Self::Virtio(disk) => disk.break_next(fault),
        }
    }

    /// How long a request may take, from the next one on.
    pub fn set_limit(&self, limit: Duration) {
        match self {
            Self::Ide(disk) => disk.set_limit(limit),
            #[cfg(target_arch = "x86_64")]
            Self::Virtio(disk) => disk.set_limit(limit),
        }
    }

    /// Sleeps until all that was written is on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Ide`], [`Error::Virtio`], [`Error::TimedOut`], [`Error::Reset`] and [`Error::Dead`].
    ///
    /// # Panics
    ///
    /// If a context was forgotten, so that this thread must not sleep.
    #[track_caller]
    pub fn flush(&self, task: &mut MaySleep<'_>) -> Result<(), Error> {
        match self {
            Self::Ide(disk) => disk.flush(task),
            #[cfg(target_arch = "x86_64")]
            Self::Virtio(disk) => disk.flush(task),
        }
    }

    /// Has the device write pages to sectors, from number `sector` on. Sleeps for pages of the reserve, and while the device takes no more
    /// requests.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], and as the driver's.
    ///
    /// # Panics
    ///
    /// If a context was forgotten, so that this thread must not sleep.
    #[track_caller]
    pub fn write<R, const PAGES: usize, const N: usize>(
        &self,
        task: &mut Task<'_>,
        reserve: &'static Reserve<ExampleKernel, Frame, PAGES>,
        sector: u64,
        pages: Segments<R, N>,
    ) -> Begun<R, PAGES, N>
    where
        R: PageRun<Paging = Paging, Access: Memory> + Send + 'static,
    {
        let (prepared, task) = reserve.write(task, pages, |atomic| atomic.slots().user0).map_err(refused)?;
        self.begin(task, sector, prepared, true)
    }

    /// Has the device read sectors, from number `sector` on, into pages. Sleeps as [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Panics
    ///
    /// As [`write`](Self::write).
    #[track_caller]
    pub fn read<R, const PAGES: usize, const N: usize>(
        &self,
        task: &mut Task<'_>,
        reserve: &'static Reserve<ExampleKernel, Frame, PAGES>,
        sector: u64,
        pages: Segments<R, N>,
    ) -> Begun<R, PAGES, N>
    where
        R: PageRun<Paging = Paging, Access: Memory + Writable> + Send + 'static,
    {
        let (prepared, task) = reserve.read(task, pages).map_err(refused)?;
        self.begin(task, sector, prepared, false)
    }

    #[track_caller]
    fn begin<R, const PAGES: usize, const N: usize>(
        &self,
        task: &mut MaySleep<'_>,
        sector: u64,
        prepared: Prepared<'_, 'static, ExampleKernel, R, Frame, PAGES, N>,
        write: bool,
    ) -> Begun<R, PAGES, N>
    where
        R: PageRun<Paging = Paging> + Send + 'static,
    {
        let bounced = Bounced::Submitted(prepared.submit());
        let begun = match (self, write) {
            (Self::Ide(disk), true) => disk.write_dma(task, sector, bounced),
            #[cfg(target_arch = "x86_64")]
            (Self::Virtio(disk), true) => disk.write_dma(task, sector, bounced),
            (Self::Ide(disk), false) => disk.read_dma(task, sector, bounced),
            #[cfg(target_arch = "x86_64")]
            (Self::Virtio(disk), false) => disk.read_dma(task, sector, bounced),
        };
        begun.map(PendingPages).map_err(|Failure { error, mut memory }| {
            // SAFETY: a request that has not begun is nothing that the device knows of.
            end_in_thread(task, |slot| unsafe { memory.end(slot, Err(error)) });
            Failure { error, memory: memory.into_pages() }
        })
    }
}

fn refused<R, const N: usize>(refused: Refused<R, N>) -> Failure<Segments<R, N>> {
    Failure { error: Error::Refused(refused.why), memory: refused.segments }
}
