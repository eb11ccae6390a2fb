//! A disk on virtio, for 64-bit mode: many requests at once, which end in any order.
//!
//! A driver in C hands out addresses, and is told of what is done by a number. A page that is freed while its request waits in the queue, a
//! number that is looked up in the wrong place, a request that is given up while the device has it: each ends in a page that the device
//! writes and that is somebody else's, long after whoever was to blame has returned.
//!
//! A request owns its memory, and gives it back when the device has said that it is done, or has been reset: one that takes too long has the
//! device reset, and with it all others that the device has, which end with an error, too. Addresses that the device does not reach are
//! refused, and it is for others to copy.
//!
//! What is at the device is a [`Pending`] of [`disk`](crate::disk). The queue, and how one talks to the device, are those of the crate
//! `virtio_drivers`; it never sees the memory itself.
//!
//! A virtio device can reach all memory. This one is driven as if it had 32 address lines, for the sake of what is bounced.
//!
//! ```ignore
//! let disk = Disk::open(task)?;
//! let first = disk.read_dma(task, 0, vec![Segment::whole(one)])?;
//! let second = disk.read_dma(task, 8, vec![Segment::whole(other)])?;
//! let (second, first) = (second.wait(task)?, first.wait(task)?);
//! ```

mod device;
mod platform;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use highmem::bounce::Reach;

use self::device::{About, Command, Request};
use self::platform::Piece;
use crate::disk::{AnyJob, DmaMemory, Error, Failure, Fault, Job, Pending, Stats, sectors};
use crate::irq;
use crate::kmap::MaySleep;
use crate::pci::{self, ConfigurationSpace};

/// Where the driver lets the device go.
pub const REACH: Reach = Reach::FOUR_GIB;

/// Who makes such devices, and what disks are called: as the standard has them, and one that also knows what was before.
const VENDOR: u16 = 0x1af4;
const NUMBERS: [u16; 2] = [0x1042, 0x1001];

/// A disk.
#[derive(Clone, Debug)]
pub struct Disk {
    sectors: u64,
    most_pieces: usize,
    flushes: bool,
}

impl Disk {
    /// The first disk of the machine that is on virtio.
    ///
    /// # Errors
    ///
    /// [`Error::NoDisk`] and [`Error::Unsupported`].
    ///
    /// # Panics
    ///
    /// If there is no frame of lowmem left.
    pub fn open(_task: &mut MaySleep<'_>) -> Result<Self, Error> {
        let mut line = None;
        let About { sectors, most_pieces, flushes } = device::init(|| {
            let device = pci::find_by_id(VENDOR, &NUMBERS).ok_or(Error::NoDisk)?;
            let (_, wired) = device.interrupt(ConfigurationSpace);
            line = Some(wired).filter(|line| usize::from(*line) < irq::LINES);
            line.map(|_| device).ok_or(Error::Unsupported)
        })?;
        if let Some(line) = line {
            irq::set_handler(line, device::interrupt);
        }
        Ok(Self { sectors, most_pieces, flushes })
    }

    /// How many sectors it says it has.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// What the driver has counted.
    pub fn stats(&self) -> Stats {
        device::stats()
    }

    /// How long a request may take, from the next one on.
    pub fn set_limit(&self, limit: Duration) {
        device::set_limit(limit);
    }

    /// Has something go wrong with the next request.
    pub fn break_next(&self, fault: Fault) {
        device::set_fault(fault);
    }

    /// Has the device read sectors, from number `sector` on, into memory. Sleeps while there is no room in the queue.
    ///
    /// # Errors
    ///
    /// [`Error::Length`], [`Error::SectorNumber`], [`Error::OutOfReach`], [`Error::TooManySegments`] and [`Error::Dead`]. Whether there is
    /// such a sector is for the device to say.
    ///
    /// # Panics
    ///
    /// If a context was forgotten, so that this thread must not sleep.
    #[track_caller]
    pub fn read_dma<M: DmaMemory>(
        &self,
        task: &mut MaySleep<'_>,
        sector: u64,
        memory: M,
    ) -> Result<Pending<M>, Failure<M>> {
        self.dma(task, Command::Read, sector, memory)
    }

    /// Has the device write memory to sectors, from number `sector` on. Sleeps while there is no room in the queue.
    ///
    /// # Errors
    ///
    /// As [`read_dma`](Self::read_dma).
    ///
    /// # Panics
    ///
    /// As [`read_dma`](Self::read_dma).
    #[track_caller]
    pub fn write_dma<M: DmaMemory>(
        &self,
        task: &mut MaySleep<'_>,
        sector: u64,
        memory: M,
    ) -> Result<Pending<M>, Failure<M>> {
        self.dma(task, Command::Write, sector, memory)
    }

    /// Sleeps until all that was written is on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Virtio`], [`Error::TimedOut`], [`Error::Reset`] and [`Error::Dead`].
    ///
    /// # Panics
    ///
    /// As [`read_dma`](Self::read_dma).
    #[track_caller]
    pub fn flush(&self, task: &mut MaySleep<'_>) -> Result<(), Error> {
        if !self.flushes {
            // There is no cache.
            return Ok(());
        }
        let request = Request { command: Command::Flush, sector: 0, data: Vec::new() };
        let begun = begin(task, request, Job::pio(()));
        begun.and_then(|pending| pending.wait(task)).map_err(|failure| failure.error)
    }

    #[track_caller]
    fn dma<M: DmaMemory>(
        &self,
        task: &mut MaySleep<'_>,
        command: Command,
        sector: u64,
        memory: M,
    ) -> Result<Pending<M>, Failure<M>> {
        match self.data(sector, &memory) {
            Ok(data) => begin(task, Request { command, sector, data }, Job::dma(memory)),
            Err(error) => Err(Failure { error, memory }),
        }
    }

    /// The pieces of some memory, if the device can be told of them, and of such sectors.
    fn data(&self, sector: u64, memory: &impl DmaMemory) -> Result<Vec<Piece>, Error> {
        let mut pieces = Vec::new();
        let mut total = Some(0_usize);
        for (address, len) in memory.segments().filter(|&(_, len)| len > 0) {
            let last = address.checked_add(len as u64 - 1);
            last.filter(|last| *last <= REACH.last()).ok_or(Error::OutOfReach(address))?;
            total = total.and_then(|total| total.checked_add(len));
            if pieces.len() == self.most_pieces {
                return Err(Error::TooManySegments);
            }
            pieces.push(Piece { address, len });
        }
        let sectors = sectors(total)?;
        sector.checked_add(sectors.into()).ok_or(Error::SectorNumber)?;
        Ok(pieces)
    }
}

#[track_caller]
fn begin<M: Send + 'static>(
    task: &mut MaySleep<'_>,
    request: Request,
    job: Arc<Job<M>>,
) -> Result<Pending<M>, Failure<M>> {
    match device::submit(task, request, Arc::clone(&job) as Arc<dyn AnyJob>) {
        Ok((number, deadline)) => Ok(Pending::new(job, number, deadline, device::expire)),
        Err(error) => Err(Failure { error, memory: job.take_memory() }),
    }
}
