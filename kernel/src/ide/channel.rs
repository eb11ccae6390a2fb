//! The first channel: one request at a time, from its command to its end.
//!
//! A request can end in its interrupt, or because it takes too long; in C both may find it, and both give its pages back. And who gives up a
//! request that the device still works on gives back pages that the device still writes.
//!
//! So the request is in one place, [`State`], behind the lock, and whoever takes it out ends it. Nobody takes it out unless the bus master
//! has been stopped.
//!
//! That place owns the request, and the request its memory: it cannot be dropped, or left, while the device is at it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use highmem::linux::{BioDstIrq, BioSrcIrq, BounceRead};
use highmem::zerocopy::IntoBytes;
use highmem::{Page, kmap_atomic};

use super::memory::PioMemory;
use super::ports::{BusMaster, Command, Ports, Status};
use crate::disk::{AnyJob, Error, Fault, Job, LIMIT, SECTOR, Stats, end_in_thread};
use crate::frames::SharedFrame;
use crate::kmap::{HardIrq, MaySleep, Slot};
use crate::sync::IrqLock;
use crate::wait::WaitQueue;
use crate::{thread, timer};

/// How long a device may take to come up after a reset.
const RESET_LIMIT: Duration = Duration::from_secs(31);

static CHANNEL: IrqLock<Option<Channel>> = IrqLock::new(None);

/// Those who wait for the channel.
static FREE: WaitQueue = WaitQueue::new();

/// A request whose data the processor copies.
pub(super) trait PioJob: AnyJob {
    fn put(&self, slot: Slot<'_, BioDstIrq>, at: usize, sector: &[u8; SECTOR]);
    fn get(&self, slot: Slot<'_, BioSrcIrq>, at: usize, sector: &mut [u8; SECTOR]);
}

impl<M: PioMemory> PioJob for Job<M> {
    fn put(&self, slot: Slot<'_, BioDstIrq>, at: usize, sector: &[u8; SECTOR]) {
        self.with_memory(|memory| memory.put(slot, at, sector));
    }

    fn get(&self, slot: Slot<'_, BioSrcIrq>, at: usize, sector: &mut [u8; SECTOR]) {
        self.with_memory(|memory| memory.get(slot, at, sector));
    }
}

/// How the data of a request goes.
pub(super) enum Work {
    /// There is none.
    Nothing(Arc<dyn AnyJob>),
    /// The bus master moves it, as the descriptors say, which are of the job's own memory.
    Dma { job: Arc<dyn AnyJob>, descriptors: Vec<[u32; 2]>, to_memory: bool },
    /// The handler copies each sector to memory.
    Read { job: Arc<dyn PioJob>, done: u16 },
    /// And from there; the first, whoever gives the command.
    Write { job: Arc<dyn PioJob>, done: u16 },
}

impl Work {
    /// # Safety
    ///
    /// Called once, and the bus master has been stopped since it was started for this.
    unsafe fn end(&self, slot: Slot<'_, BounceRead>, result: Result<(), Error>) {
        // SAFETY: by this function's contract. Where the processor copies, no device does.
        unsafe {
            match self {
                Self::Nothing(job) | Self::Dma { job, .. } => job.end(slot, result),
                Self::Read { job, .. } | Self::Write { job, .. } => job.end(slot, result),
            }
        }
    }
}

/// The request that the device works on.
struct Active {
    number: u64,
    deadline: Duration,
    sectors: u16,
    work: Work,
}

enum State {
    Idle,
    Busy(Active),
    /// A thread is at it.
    Resetting,
    /// A reset did not help.
    Dead,
}

struct Channel {
    ports: Ports,
    /// Where the bus master finds its descriptors: a frame of lowmem, which is below 4 GiB.
    table: SharedFrame,
    state: State,
    /// How many requests there have been.
    requests: u64,
    stats: Stats,
    /// What is to go wrong with the next request.
    fault: Option<Fault>,
    /// How long a request may take.
    limit: Duration,
}

/// Has `f` look at the channel.
fn with<R>(f: impl FnOnce(&mut Channel) -> R) -> R {
    CHANNEL.with(|channel| f(channel.as_mut().expect("a disk that is open has its channel")))
}

/// Puts the channel to use that `find` gives, if nobody has done so yet.
pub(super) fn init(find: impl FnOnce() -> Result<(Ports, SharedFrame), Error>) -> Result<(), Error> {
    CHANNEL.with(|channel| {
        if channel.is_none() {
            let (ports, table) = find()?;
            let stats = Stats { interrupts: 0, resets: 0 };
            *channel =
                Some(Channel { ports, table, state: State::Idle, requests: 0, stats, fault: None, limit: LIMIT });
        }
        Ok(())
    })
}

pub(super) fn stats() -> Stats {
    with(|channel| channel.stats)
}

pub(super) fn set_fault(fault: Fault) {
    with(|channel| channel.fault = Some(fault));
}

pub(super) fn set_limit(limit: Duration) {
    with(|channel| channel.limit = limit);
}

/// What became of a try to give a command.
enum Turn {
    Begun(u64, Duration),
    /// Another request is at the device, with this number and until this time.
    Wait(u64, Duration),
    /// The device does not take commands.
    Reset,
    Dead,
}

/// Gives the device a command as soon as it has none. Gives the number of the request, and its deadline.
///
/// Sleeps while others are at the device, to the end of their time at the most.
#[track_caller]
pub(super) fn submit(task: &mut MaySleep<'_>, command: Command, work: Work) -> Result<(u64, Duration), Error> {
    let mut work = Some(work);
    let mut resets = 0;
    loop {
        match turn(task, command, &mut work) {
            Turn::Begun(number, deadline) => return Ok((number, deadline)),
            Turn::Wait(number, deadline) => {
                if !FREE.wait_to(task, deadline, || with(|channel| !channel.is_taken())) {
                    expire(task, number);
                }
            }
            Turn::Reset if resets == 0 => {
                resets += 1;
                reset(task, None);
            }
            Turn::Reset | Turn::Dead => return Err(Error::Dead),
        }
    }
}

/// Gives the command, if nobody else is at the device.
fn turn(task: &mut MaySleep<'_>, command: Command, work: &mut Option<Work>) -> Turn {
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    // What is under the lock has interrupts off, which the token for the first sector of a write needs a context for.
    let mut irqs_off = slots.deeper.irqs_off();
    let mut own = irqs_off.slots();
    with(|channel| {
        match &channel.state {
            State::Idle if !channel.ports.is_ready() => {
                channel.state = State::Resetting;
                channel.ports.begin_reset();
                return Turn::Reset;
            }
            State::Idle => {}
            State::Busy(active) => return Turn::Wait(active.number, active.deadline),
            State::Resetting => return Turn::Wait(0, timer::uptime() + RESET_LIMIT),
            State::Dead => return Turn::Dead,
        }
        let work = work.take().expect("a request begins once");
        if let Work::Dma { descriptors, .. } = &work {
            let mut table = kmap_atomic(slots.user0.reborrow(), &mut channel.table);
            table.write_at(0, descriptors.as_bytes()).expect("there are no more than a page holds");
        }
        channel.requests += 1;
        let (number, deadline) = (channel.requests, timer::uptime() + timer::period() + channel.limit);
        let active = Active { number, deadline, sectors: command.sectors, work };
        channel.begin(command, active, own.bio_src_irq.reborrow());
        Turn::Begun(number, deadline)
    })
}

impl Channel {
    fn is_taken(&self) -> bool {
        matches!(self.state, State::Busy(_) | State::Resetting)
    }

    /// Gives a command to a device that has none.
    fn begin(&mut self, mut command: Command, mut active: Active, slot: Slot<'_, BioSrcIrq>) {
        let fault = self.fault.take();
        if fault == Some(Fault::EndsShort) && command.sectors > 1 {
            command.sectors -= 1;
        }
        self.ports.command(command, fault != Some(Fault::NoInterrupt));
        match &mut active.work {
            Work::Nothing(_) | Work::Read { .. } => {}
            Work::Dma { to_memory, .. } => {
                let table = (self.table.pfn().number() * highmem::PAGE_SIZE) as u32;
                // SAFETY: the descriptors are in the table, which is the channel's and is written only while it is idle. They are those of
                // the memory of the job (`DmaMemory`), which nobody takes before the job is taken out of `state`; and that comes
                // after the bus master was stopped.
                unsafe { self.ports.start_bus_master(table, *to_memory) };
            }
            Work::Write { job, done } => {
                // If the device refuses, it asks for an interrupt.
                if self.ports.wants_data() {
                    write_sector(&self.ports, &**job, slot, done);
                }
            }
        }
        self.state = State::Busy(active);
    }

    /// Serves the device. Gives the request that has ended, if one has.
    fn interrupt(&mut self, irq: &mut HardIrq<'_>) -> Option<(Active, Result<(), Error>)> {
        let bus_master = self.ports.bus_master();
        if !bus_master.contains(BusMaster::INTERRUPT) || self.ports.alternate_status().contains(Status::BUSY) {
            return None;
        }
        self.stats.interrupts += 1;
        let State::Busy(active) = &mut self.state else {
            // From a request that was given up.
            self.ports.status();
            self.ports.clear_bus_master();
            return None;
        };
        if matches!(active.work, Work::Dma { .. }) {
            self.ports.stop_bus_master();
        }
        let status = self.ports.status();
        self.ports.clear_bus_master();
        let result = if status.intersects(Status::ERROR | Status::FAULT) {
            Err(Error::Ide { status, error: self.ports.error() })
        } else {
            active.go_on(&self.ports, bus_master, status, irq)?
        };
        let State::Busy(active) = mem::replace(&mut self.state, State::Idle) else { unreachable!("it was busy") };
        Some((active, result))
    }
}

impl Active {
    /// What comes next after an interrupt without an error: nothing but another interrupt, or the end.
    fn go_on(
        &mut self,
        ports: &Ports,
        bus_master: BusMaster,
        status: Status,
        irq: &mut HardIrq<'_>,
    ) -> Option<Result<(), Error>> {
        let slots = irq.slots();
        let wants_data = status.contains(Status::DATA_REQUEST);
        match &mut self.work {
            Work::Nothing(_) => Some(Ok(())),
            Work::Dma { .. } if bus_master.contains(BusMaster::ERROR) => Some(Err(Error::Bus)),
            Work::Dma { .. } if bus_master.contains(BusMaster::ACTIVE) => Some(Err(Error::Short)),
            Work::Dma { .. } => Some(Ok(())),
            Work::Read { job, done } if wants_data && *done < self.sectors => {
                let mut sector = [0; SECTOR];
                ports.read_data(&mut sector);
                job.put(slots.bio_dst_irq, usize::from(*done) * SECTOR, &sector);
                *done += 1;
                (*done == self.sectors).then_some(Ok(()))
            }
            Work::Write { job, done } if wants_data && *done < self.sectors => {
                write_sector(ports, &**job, slots.bio_src_irq, done);
                None
            }
            Work::Write { done, .. } if !wants_data && *done == self.sectors => Some(Ok(())),
            Work::Read { .. } | Work::Write { .. } => Some(Err(Error::Short)),
        }
    }
}

fn write_sector(ports: &Ports, job: &dyn PioJob, slot: Slot<'_, BioSrcIrq>, done: &mut u16) {
    let mut sector = [0; SECTOR];
    job.get(slot, usize::from(*done) * SECTOR, &mut sector);
    ports.write_data(&sector);
    *done += 1;
}

/// Serves the interrupt.
pub(super) fn interrupt(irq: &mut HardIrq<'_>) {
    // What has ended is dropped without the lock, and whoever is woken finds it free.
    if let Some((active, result)) = with(|channel| channel.interrupt(irq)) {
        // SAFETY: `Channel::interrupt` has stopped the bus master, and gives a request once.
        unsafe { active.work.end(irq.slots().bounce_read, result) };
        FREE.wake_one();
    }
}

/// Ends a request whose time is over, if it has not ended meanwhile.
#[track_caller]
pub(super) fn expire(task: &mut MaySleep<'_>, number: u64) {
    let late = with(|channel| {
        let State::Busy(active) = &channel.state else { return None };
        if active.number != number || timer::uptime() < active.deadline {
            return None;
        }
        channel.ports.begin_reset();
        match mem::replace(&mut channel.state, State::Resetting) {
            State::Busy(active) => Some(active),
            _ => unreachable!("it was busy"),
        }
    });
    match late {
        Some(active) => reset(task, Some(active)),
        // Somebody else is at it.
        None => thread::sleep(task, Duration::from_millis(1)),
    }
}

/// Ends the reset that has begun, and the request that it was for.
#[track_caller]
fn reset(task: &mut MaySleep<'_>, late: Option<Active>) {
    let step = Duration::from_millis(2);
    thread::sleep(task, step);
    with(|channel| channel.ports.end_reset());
    let end = timer::uptime() + RESET_LIMIT;
    let is_up = loop {
        thread::sleep(task, step);
        let is_up = with(|channel| channel.ports.is_up());
        if is_up || timer::uptime() >= end {
            break is_up;
        }
    };
    with(|channel| {
        channel.stats.resets += 1;
        channel.state = if is_up { State::Idle } else { State::Dead };
    });
    if let Some(late) = late {
        // SAFETY: `expire` has begun the reset, which stops the bus master, and has taken the request.
        end_in_thread(task, |slot| unsafe { late.work.end(slot, Err(Error::TimedOut)) });
    }
    FREE.wake_all();
}
