//! The registers of the controller's first channel.
//!
//! A device that has begun a transfer goes on writing to memory until it is done or has been stopped; a driver that forgets one of the
//! steps between has bytes of a file in pages that are somebody else's by then.
//!
//! So the bus master is started in one place, by an `unsafe` function, and whoever calls it answers for the memory until
//! [`Ports::stop_bus_master`] or [`Ports::begin_reset`].
//!
//! All others of these functions are safe: they make the device do nothing to memory. They are private to the driver.

use bitflags::bitflags;
use x86::io::{inb, inw, outb, outl, outw};

use crate::disk::SECTOR;

/// Where a PC has the registers of the first channel, if the channel is not in native mode.
const COMMAND_BLOCK: u16 = 0x1f0;
const CONTROL: u16 = 0x3f6;

const DATA: u16 = COMMAND_BLOCK;
const ERROR: u16 = COMMAND_BLOCK + 1;
const COUNT: u16 = COMMAND_BLOCK + 2;
const LBA: [u16; 3] = [COMMAND_BLOCK + 3, COMMAND_BLOCK + 4, COMMAND_BLOCK + 5];
const DEVICE: u16 = COMMAND_BLOCK + 6;
const STATUS: u16 = COMMAND_BLOCK + 7;

/// Sector numbers are addresses, and the device is the first of two.
const DEVICE_0_BY_LBA: u8 = 0xe0;

/// Bits of the control register: reset, and keep interrupts back.
const RESET: u8 = 1 << 2;
const NO_INTERRUPT: u8 = 1 << 1;

/// Bits of the bus master's command register.
const START: u8 = 1 << 0;
const TO_MEMORY: u8 = 1 << 3;

/// How often a status is looked at before that takes too long: some milliseconds.
const PATIENCE: u32 = 1 << 12;

bitflags! {
    /// The status register of the device.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Status: u8 {
        /// The command ended in an error, which the error register names.
        const ERROR = 1 << 0;
        /// The device wants data to be read or written by the processor.
        const DATA_REQUEST = 1 << 3;
        /// The device is broken.
        const FAULT = 1 << 5;
        /// The device can take commands.
        const READY = 1 << 6;
        /// No other bit means anything.
        const BUSY = 1 << 7;
        const _ = !0;
    }
}

bitflags! {
    /// The error register of the device.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DeviceError: u8 {
        /// The device does not know the command, or cannot do it with these parameters.
        const ABORTED = 1 << 2;
        /// There is no such sector.
        const NO_SECTOR = 1 << 4;
        /// The data cannot be read any more.
        const UNCORRECTABLE = 1 << 6;
        /// Data was damaged on the cable.
        const CABLE = 1 << 7;
        const _ = !0;
    }
}

bitflags! {
    /// The status register of the bus master.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct BusMaster: u8 {
        /// It has not come to the end of its descriptors.
        const ACTIVE = 1 << 0;
        /// An access to memory failed.
        const ERROR = 1 << 1;
        /// The device has asked for an interrupt.
        const INTERRUPT = 1 << 2;
        const _ = !0;
    }
}

/// A command, for the device's registers.
#[derive(Clone, Copy)]
pub(super) struct Command {
    pub code: u8,
    pub sector: u32,
    /// 1 to 256, or 0 for a command that has none.
    pub sectors: u16,
}

/// The registers of a channel, and the right to use them.
pub(super) struct Ports {
    bus_master: u16,
}

impl Ports {
    /// # Safety
    ///
    /// `bus_master` is where the controller has the bus master of its first channel, which nobody else uses, nor the channel itself; the
    /// channel is not in native mode.
    pub unsafe fn new(bus_master: u16) -> Self {
        Self { bus_master }
    }

    fn read(&self, port: u16) -> u8 {
        // SAFETY: a register of this channel, by `new`.
        unsafe { inb(port) }
    }

    fn write(&self, port: u16, value: u8) {
        // SAFETY: as above. None of these starts the bus master but that of `start_bus_master`.
        unsafe { outb(port, value) }
    }

    /// The device's status. It takes back its interrupt, if it has asked for one.
    pub fn status(&self) -> Status {
        Status::from_bits_retain(self.read(STATUS))
    }

    /// The device's status, without further effect.
    pub fn alternate_status(&self) -> Status {
        Status::from_bits_retain(self.read(CONTROL))
    }

    pub fn error(&self) -> DeviceError {
        DeviceError::from_bits_retain(self.read(ERROR))
    }

    /// Whether there is a device: without one, nothing drives the lines, or all are low.
    pub fn has_device(&self) -> bool {
        self.write(DEVICE, DEVICE_0_BY_LBA);
        !matches!(self.alternate_status().bits(), 0 | 0xff)
    }

    /// Looks at the status for some milliseconds, until it is as wanted.
    fn wait_for(&self, wanted: impl Fn(Status) -> bool) -> bool {
        (0..PATIENCE).any(|_| {
            core::hint::spin_loop();
            wanted(self.alternate_status())
        })
    }

    /// Whether the device takes a command, soon.
    pub fn is_ready(&self) -> bool {
        self.write(DEVICE, DEVICE_0_BY_LBA);
        self.wait_for(|status| !status.intersects(Status::BUSY | Status::DATA_REQUEST))
    }

    /// Whether the device wants data, soon, and has not given up instead.
    pub fn wants_data(&self) -> bool {
        self.wait_for(|status| {
            !status.contains(Status::BUSY) && status.intersects(Status::DATA_REQUEST | Status::ERROR | Status::FAULT)
        });
        self.alternate_status() & (Status::BUSY | Status::DATA_REQUEST) == Status::DATA_REQUEST
    }

    /// Gives the device a command. It asks for interrupts unless `interrupts` is false.
    pub fn command(&self, command: Command, interrupts: bool) {
        let [low, middle, high, highest] = command.sector.to_le_bytes();
        let [count, _] = command.sectors.to_le_bytes(); // 0 stands for 256
        self.status(); // what is left of an earlier command
        self.clear_bus_master();
        self.write(CONTROL, if interrupts { 0 } else { NO_INTERRUPT });
        self.write(DEVICE, DEVICE_0_BY_LBA | highest & 0x0f);
        self.write(COUNT, count);
        for (port, byte) in LBA.into_iter().zip([low, middle, high]) {
            self.write(port, byte);
        }
        self.write(STATUS, command.code);
        self.settle();
    }

    /// The status is true 400 ns after a command or a reset.
    fn settle(&self) {
        for _ in 0..4 {
            self.alternate_status();
        }
    }

    /// Reads a sector that the device has asked to be read.
    pub fn read_data(&self, sector: &mut [u8; SECTOR]) {
        for word in sector.as_chunks_mut().0 {
            // SAFETY: as in `read`.
            *word = unsafe { inw(DATA) }.to_le_bytes();
        }
    }

    /// Writes a sector that the device has asked for.
    pub fn write_data(&self, sector: &[u8; SECTOR]) {
        for word in sector.as_chunks().0 {
            // SAFETY: as in `write`.
            unsafe { outw(DATA, u16::from_le_bytes(*word)) };
        }
    }

    /// The bus master's status.
    pub fn bus_master(&self) -> BusMaster {
        BusMaster::from_bits_retain(self.read(self.bus_master + 2))
    }

    /// Clears the bits that stay set until then.
    pub fn clear_bus_master(&self) {
        self.write(self.bus_master + 2, (BusMaster::ERROR | BusMaster::INTERRUPT).bits());
    }

    /// Lets the bus master move data between the device, which has a command for it, and memory.
    ///
    /// # Safety
    ///
    /// At `table` are descriptors of memory that nobody but the device uses, and for a command that only reads memory, that nobody writes;
    /// both table and memory stay so until the bus master is stopped.
    pub unsafe fn start_bus_master(&self, table: u32, to_memory: bool) {
        let direction = if to_memory { TO_MEMORY } else { 0 };
        // SAFETY: as in `read`; where the descriptors are is this function's contract. The instructions count as accesses to memory,
        // so that whatever was written to it before is there.
        unsafe {
            outl(self.bus_master + 4, table);
            outb(self.bus_master, direction);
            outb(self.bus_master, direction | START);
        }
    }

    /// Stops the bus master: from now on it touches no memory.
    pub fn stop_bus_master(&self) {
        self.write(self.bus_master, 0);
    }

    /// Stops whatever goes on. To be ended after some microseconds by [`end_reset`](Self::end_reset).
    pub fn begin_reset(&self) {
        self.stop_bus_master();
        self.clear_bus_master();
        self.write(CONTROL, RESET | NO_INTERRUPT);
    }

    /// Lets the device come up, which takes it milliseconds, or until [`is_up`](Self::is_up).
    pub fn end_reset(&self) {
        self.write(CONTROL, 0);
    }

    /// Whether the device is there again.
    pub fn is_up(&self) -> bool {
        !self.alternate_status().contains(Status::BUSY)
    }
}
