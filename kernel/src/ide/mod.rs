//! A disk on the first channel of the PIIX3's IDE controller, by bus-master DMA, and by the processor where the device cannot reach.
//!
//! A driver in C gives the device the address of a page, and a pointer to the request to its interrupt handler. The page may be freed, or
//! lie where the device does not reach, or the request may be ended twice; or the handler maps a page in a slot of the task that it
//! interrupts. What is found on the disk, or in other people's memory, is found later.
//!
//! A request owns its memory, and gives it back when the device has stopped: at the end of the transfer, at an error, or at the reset of a
//! controller that took too long. Addresses that the device does not reach are refused, and it is for others to copy.
//!
//! What is at the device is a [`Pending`] of [`disk`](crate::disk). The data phase of a
//! request without DMA runs in the interrupt handler, with the slots `BioSrcIrq` and `BioDstIrq` of its [`HardIrq`](crate::kmap::HardIrq):
//! so it reaches any frame, and whoever it interrupts never has its slots.
//!
//! ```ignore
//! let disk = Disk::open(task)?;
//! let memory = vec![Segment::whole(frame)];
//! let memory = disk.write_dma(task, 0, memory)?.wait(task)?;
//! disk.flush(task)?;
//! ```

mod channel;
mod memory;
mod ports;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use pci_types::{Bar, CommandRegister};

use self::channel::Work;
pub use self::memory::{Descriptors, PioMemory};
use self::ports::{Command, Ports};
pub use self::ports::{DeviceError, Status};
use crate::disk::{DmaMemory, Error, Failure, Fault, Job, Pending, SECTOR, Stats, sectors};
use crate::frames::{self, Zone};
use crate::irq;
use crate::kmap::MaySleep;
use crate::pci::{self, ConfigurationSpace};

/// Behind the last number that a sector can have in a command.
const SECTOR_END: u64 = 1 << 28;

/// The interrupt line of the first channel.
const LINE: u8 = 14;

/// The class of a controller: mass storage, IDE.
const CLASS: (u8, u8) = (0x01, 0x01);
/// In its programming interface: whether the first channel has registers and interrupt elsewhere, and whether there is a bus master.
const NATIVE: u8 = 1 << 0;
const BUS_MASTER: u8 = 1 << 7;

/// Where the addresses of the bus masters are, among the six of a device.
const BUS_MASTER_BAR: u8 = 4;

const READ: u8 = 0x20;
const WRITE: u8 = 0x30;
const READ_DMA: u8 = 0xc8;
const WRITE_DMA: u8 = 0xca;
const FLUSH_CACHE: u8 = 0xe7;
const IDENTIFY: u8 = 0xec;

/// A disk.
#[derive(Clone, Debug)]
pub struct Disk {
    sectors: u64,
    model: String,
}

impl Disk {
    /// The first disk of the machine.
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
        channel::init(|| {
            let (mut device, interface) = pci::find(CLASS).ok_or(Error::NoDisk)?;
            let bar = device.bar(BUS_MASTER_BAR, ConfigurationSpace);
            let Some(Bar::Io { port }) = bar.filter(|_| interface & (BUS_MASTER | NATIVE) == BUS_MASTER) else {
                return Err(Error::NoDisk);
            };
            // SAFETY: the controller says that its bus master is there, and that its first channel is where it always was. No other
            // driver is for either, and this runs once.
            let ports = unsafe { Ports::new(u16::try_from(port).map_err(|_| Error::NoDisk)?) };
            if !ports.has_device() {
                return Err(Error::NoDisk);
            }
            device.update_command(ConfigurationSpace, |command| {
                command | CommandRegister::IO_ENABLE | CommandRegister::BUS_MASTER_ENABLE
            });
            Ok((ports, frames::alloc(Zone::Low).expect("a frame of lowmem for the descriptors").share()))
        })?;
        irq::set_handler(LINE, channel::interrupt);
        Self::identify(task)
    }

    /// Asks the disk what it is.
    fn identify(task: &mut MaySleep<'_>) -> Result<Self, Error> {
        let disk = Self { sectors: SECTOR_END, model: String::new() };
        let memory = Box::new([0; SECTOR]);
        let pending = disk.pio(task, IDENTIFY, 0, 1, memory, |job| Work::Read { job, done: 0 });
        let words = pending.and_then(|pending| pending.wait(task)).map_err(|failure| failure.error)?;
        let word = |at: usize| u16::from_le_bytes([words[2 * at], words[2 * at + 1]]);
        // In word 49: DMA, and sectors by number.
        if word(49) >> 8 & 0b11 != 0b11 {
            return Err(Error::Unsupported);
        }
        let sectors = u64::from(word(61)) << 16 | u64::from(word(60));
        // The first of two letters is in the upper half.
        let letters = (27..47).flat_map(|at| word(at).to_be_bytes()).map(char::from);
        Ok(Self { sectors, model: String::from(letters.collect::<String>().trim()) })
    }

    /// How many sectors it says it has.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Who made it, and what.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// What the driver has counted.
    pub fn stats(&self) -> Stats {
        channel::stats()
    }

    /// How long a request may take, from the next one on.
    pub fn set_limit(&self, limit: Duration) {
        channel::set_limit(limit);
    }

    /// Has something go wrong with the next request.
    pub fn break_next(&self, fault: Fault) {
        channel::set_fault(fault);
    }

    /// Has the device read sectors, from number `sector` on, into memory. Sleeps while it has another request.
    ///
    /// # Errors
    ///
    /// [`Error::Length`], [`Error::SectorNumber`], [`Error::OutOfReach`], [`Error::Unaligned`], [`Error::TooManySegments`] and
    /// [`Error::Dead`]. Whether there is such a sector is for the device to say.
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
        self.dma(task, READ_DMA, sector, memory, true)
    }

    /// Has the device write memory to sectors, from number `sector` on. Sleeps while it has another request.
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
        self.dma(task, WRITE_DMA, sector, memory, false)
    }

    /// As [`read_dma`](Self::read_dma), but the processor copies, and reaches any memory.
    ///
    /// # Errors
    ///
    /// [`Error::Length`], [`Error::SectorNumber`] and [`Error::Dead`].
    ///
    /// # Panics
    ///
    /// As [`read_dma`](Self::read_dma).
    #[track_caller]
    pub fn read_pio<M: PioMemory>(
        &self,
        task: &mut MaySleep<'_>,
        sector: u64,
        memory: M,
    ) -> Result<Pending<M>, Failure<M>> {
        match sectors(memory.size()) {
            Ok(count) => self.pio(task, READ, sector, count, memory, |job| Work::Read { job, done: 0 }),
            Err(error) => Err(Failure { error, memory }),
        }
    }

    /// As [`write_dma`](Self::write_dma), but the processor copies, and reaches any memory.
    ///
    /// # Errors
    ///
    /// As [`read_pio`](Self::read_pio).
    ///
    /// # Panics
    ///
    /// As [`read_dma`](Self::read_dma).
    #[track_caller]
    pub fn write_pio<M: PioMemory>(
        &self,
        task: &mut MaySleep<'_>,
        sector: u64,
        memory: M,
    ) -> Result<Pending<M>, Failure<M>> {
        match sectors(memory.size()) {
            Ok(count) => self.pio(task, WRITE, sector, count, memory, |job| Work::Write { job, done: 0 }),
            Err(error) => Err(Failure { error, memory }),
        }
    }

    /// Sleeps until all that was written is on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Ide`], [`Error::TimedOut`] and [`Error::Dead`].
    ///
    /// # Panics
    ///
    /// As [`read_dma`](Self::read_dma).
    #[track_caller]
    pub fn flush(&self, task: &mut MaySleep<'_>) -> Result<(), Error> {
        let job = Job::pio(());
        let command = Command { code: FLUSH_CACHE, sector: 0, sectors: 0 };
        let begun = begin(task, command, job, |job| Work::Nothing(job));
        begun.and_then(|pending| pending.wait(task)).map_err(|failure| failure.error)
    }

    #[track_caller]
    fn dma<M: DmaMemory>(
        &self,
        task: &mut MaySleep<'_>,
        code: u8,
        sector: u64,
        memory: M,
        to_memory: bool,
    ) -> Result<Pending<M>, Failure<M>> {
        let checked = Descriptors::of(&memory)
            .and_then(|descriptors| Ok((self.command(code, sector, descriptors.sectors())?, descriptors)));
        match checked {
            Ok((command, descriptors)) => begin(task, command, Job::dma(memory), |job| Work::Dma {
                job,
                descriptors: descriptors.into_words(),
                to_memory,
            }),
            Err(error) => Err(Failure { error, memory }),
        }
    }

    #[track_caller]
    fn pio<M: PioMemory>(
        &self,
        task: &mut MaySleep<'_>,
        code: u8,
        sector: u64,
        count: u16,
        memory: M,
        work: impl FnOnce(Arc<Job<M>>) -> Work,
    ) -> Result<Pending<M>, Failure<M>> {
        match self.command(code, sector, count) {
            Ok(command) => begin(task, command, Job::pio(memory), work),
            Err(error) => Err(Failure { error, memory }),
        }
    }

    fn command(&self, code: u8, sector: u64, sectors: u16) -> Result<Command, Error> {
        let end = sector.checked_add(sectors.into()).filter(|end| *end <= SECTOR_END);
        end.map(|_| Command { code, sector: sector as u32, sectors }).ok_or(Error::SectorNumber)
    }
}

#[track_caller]
fn begin<M>(
    task: &mut MaySleep<'_>,
    command: Command,
    job: Arc<Job<M>>,
    work: impl FnOnce(Arc<Job<M>>) -> Work,
) -> Result<Pending<M>, Failure<M>> {
    match channel::submit(task, command, work(Arc::clone(&job))) {
        Ok((number, deadline)) => Ok(Pending::new(job, number, deadline, channel::expire)),
        Err(error) => Err(Failure { error, memory: job.take_memory() }),
    }
}
