//! What the drivers of disks share: requests, the memory that they own, and how they end.
//!
//! A driver in C gives a device the address of a page, and its caller a pointer to wait at. A caller who gives up waiting frees the page,
//! and the device goes on writing to whoever has it next; a page that the device does not reach is copied through another one, which an
//! error path frees twice, or never.
//!
//! A request owns its memory, and gives it back when the device has stopped: at the end of the transfer, at an error, or at the reset of
//! a device that took too long. Whoever does not wait for the end does not get it back earlier.
//!
//! [`Pending`] is a request at a device, and its [`wait`](Pending::wait) is the way back to the memory, by value. What a device does not reach
//! is refused by its driver, and goes through a reserve of low pages with [`Disk`], whose requests are highmem's own
//! ([`highmem::bounce`]): copied in a task before the transfer, or in the interrupt handler behind it.

mod any;
mod job;
mod memory;

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use highmem::bounce::Reserve;

pub use self::any::{Disk, PendingPages};
pub(crate) use self::job::{AnyJob, Job, end_in_thread};
pub(crate) use self::memory::sectors;
pub use self::memory::{Bounced, DmaMemory};
use crate::frames::{self, Frame, Zone};
use crate::ide::{DeviceError, Status};
use crate::kmap::{ExampleKernel, MaySleep};

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// As many sectors as a request can have.
pub const MAX_SECTORS: u16 = 256;

/// How long a request may take, unless a driver is told otherwise.
pub(crate) const LIMIT: Duration = Duration::from_secs(3);

/// Sets pages of lowmem aside for a reserve: as many as it has room for.
///
/// # Panics
///
/// If there are not as many, or the reserve has some already.
pub fn set_aside<const PAGES: usize>(reserve: &Reserve<ExampleKernel, Frame, PAGES>) {
    for _ in 0..PAGES {
        let page = frames::alloc(Zone::Low).expect("a frame of lowmem for the reserve");
        reserve.add(page).expect("the direct map has it, and the device reaches it");
    }
}

/// Why a request did not do what it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no such controller, or no disk.
    NoDisk,
    /// The disk has no DMA, or does not know sectors by their number.
    Unsupported,
    /// The memory is not a whole number of sectors, from 1 to [`MAX_SECTORS`].
    Length,
    /// A command has no room for the number of a sector.
    SectorNumber,
    /// The device does not reach all of the segment at this address.
    OutOfReach(u64),
    /// The address of a segment, this one, or its length is odd.
    Unaligned(u64),
    /// There is no room for so many segments.
    TooManySegments,
    /// There were no pages to bounce through.
    Refused(highmem::bounce::Refusal),
    /// An IDE disk says that it could not do it.
    Ide {
        /// Its status.
        status: Status,
        /// What its error register says.
        error: DeviceError,
    },
    /// A virtio disk says that it could not do it.
    Virtio {
        /// Its status: 1 for an error, 2 for a request that it does not know.
        status: u8,
    },
    /// The bus master could not access memory.
    Bus,
    /// The device did not want to move as much as the request has.
    Short,
    /// The device has not ended the request in time, and was reset.
    TimedOut,
    /// The device was reset for the sake of another request.
    Reset,
    /// The device takes no commands, not even after a reset.
    Dead,
}

impl Error {
    /// Whether it is the device itself that could not do it.
    pub fn is_of_device(self) -> bool {
        matches!(self, Self::Ide { .. } | Self::Virtio { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDisk => f.write_str("there is no disk"),
            Self::Unsupported => f.write_str("the disk has no DMA, or no numbers for sectors"),
            Self::Length => write!(f, "the memory is not 1 to {MAX_SECTORS} sectors"),
            Self::SectorNumber => f.write_str("there is no number for the sector"),
            Self::OutOfReach(address) => write!(f, "the device does not reach {address:#x}"),
            Self::Unaligned(address) => write!(f, "the segment at {address:#x} is not of whole words"),
            Self::TooManySegments => f.write_str("the memory is in too many pieces"),
            Self::Refused(why) => why.fmt(f),
            Self::Ide { status, error } => write!(f, "the disk reports {error:?}, {status:?}"),
            Self::Virtio { status } => write!(f, "the disk reports status {status}"),
            Self::Bus => f.write_str("the bus master could not access memory"),
            Self::Short => f.write_str("the transfer ended short"),
            Self::TimedOut => f.write_str("the request took too long"),
            Self::Reset => f.write_str("the device was reset for the sake of another request"),
            Self::Dead => f.write_str("the device takes no commands"),
        }
    }
}

impl core::error::Error for Error {}

/// A request that failed, and its memory.
#[derive(Debug)]
pub struct Failure<M> {
    /// Why.
    pub error: Error,
    /// What the request was given. After a read it may have been written in part.
    pub memory: M,
}

/// What goes wrong on purpose: for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device does not ask for an interrupt, or nobody hears it.
    NoInterrupt,
    /// The device is asked for one sector less. On virtio, only a read.
    EndsShort,
    /// The device does not hear of it before it hears of another request. On virtio.
    Unheard,
    /// The device does not stop when it is reset. On virtio.
    NoReset,
}

/// What a driver has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Interrupts of the device.
    pub interrupts: u64,
    /// Resets of the device.
    pub resets: u64,
}

/// A request that a device has, or had.
#[must_use = "the memory comes back by `wait`"]
pub struct Pending<M> {
    job: Arc<Job<M>>,
    number: u64,
    deadline: Duration,
    expire: fn(&mut MaySleep<'_>, u64),
}

impl<M> Pending<M> {
    /// Request `number` of a driver, which has until the deadline; then the driver is told to `expire` it: to end it, or to give the device
    /// more time.
    pub(crate) fn new(job: Arc<Job<M>>, number: u64, deadline: Duration, expire: fn(&mut MaySleep<'_>, u64)) -> Self {
        Self { job, number, deadline, expire }
    }

    /// Sleeps until the request has ended, and gives its memory. A request that takes too long is given up, and the device reset.
    ///
    /// # Errors
    ///
    /// [`Error::Ide`], [`Error::Virtio`], [`Error::Bus`], [`Error::Short`], [`Error::TimedOut`] and [`Error::Reset`].
    ///
    /// # Panics
    ///
    /// If a context was forgotten, so that this thread must not sleep.
    #[track_caller]
    pub fn wait(self, task: &mut MaySleep<'_>) -> Result<M, Failure<M>> {
        loop {
            if let Some(result) = self.job.wait_to(task, self.deadline) {
                let memory = self.job.take_memory();
                return match result {
                    Ok(()) => Ok(memory),
                    Err(error) => Err(Failure { error, memory }),
                };
            }
            (self.expire)(task, self.number);
        }
    }
}
