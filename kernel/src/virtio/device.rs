//! The device: its queue, and the requests that it has.
//!
//! A queue has many requests, which end in any order. In C, the handler finds the request by a number that the device says, and the thread that
//! gives up waiting finds it too; if they mix up two requests, or both end the same one, memory is somebody else's while the device
//! still writes it. And who gives up one request resets the device under all others.
//!
//! So the requests are in one place, [`Device::active`], behind the lock, and whoever takes one out ends it. The handler takes out the one that
//! the device names, when the queue has given up its memory. All others are taken out together, when the device has been reset.
//!
//! That place owns the requests, and each its memory: it cannot be dropped, or left, while the device is at it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use bitflags::bitflags;
use highmem::linux::{BioSrcIrq, User0};
use highmem::{PAGE_SIZE, Page, kmap_atomic};
use pci_types::{CommandRegister, EndpointHeader};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::pci::bus::{DeviceFunction, PciRoot};
use virtio_drivers::transport::{DeviceStatus, Transport};

use super::platform::{self, DESCRIPTORS, Piece, Platform, with_slices};
use crate::disk::{AnyJob, Error, Fault, LIMIT, SECTOR, Stats, end_in_thread};
use crate::frames::{self, SharedFrame, Zone};
use crate::kmap::{HardIrq, MaySleep, Slot};
use crate::pci::ConfigurationSpace;
use crate::sync::IrqLock;
use crate::wait::WaitQueue;
use crate::{thread, timer};

/// The device's only queue.
const QUEUE: u16 = 0;

/// How many requests the device may have at once, and how much room each has for its header and its status.
const REQUESTS: usize = 32;
const ROOM: usize = PAGE_SIZE / REQUESTS;

/// A header: what to do, four bytes of no meaning, and the first sector. Behind it, the status.
const HEADER: usize = 16;
const STATUS: usize = HEADER;

/// What the status says.
const DONE: u8 = 0;
/// What it never says.
const NOTHING: u8 = 0xff;

/// In the device's configuration: how many sectors, and in how many pieces the data of a request may be.
const CAPACITY: usize = 0;
const MOST_PIECES: usize = 12;

/// How long a device may take to stop.
const RESET_LIMIT: Duration = Duration::from_secs(1);

bitflags! {
    /// What device and driver agree on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Features: u64 {
        /// The device says in how many pieces data may be.
        const MOST_PIECES = 1 << 2;
        /// The device has a cache, and a command that flushes it.
        const FLUSH = 1 << 9;
        /// The device is as the standard says.
        const VERSION_1 = 1 << 32;
    }
}

static DEVICE: IrqLock<Option<Device>> = IrqLock::new(None);

/// Those who wait for room in the queue.
static FREE: WaitQueue = WaitQueue::new();

/// What a device can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Command {
    Read = 0,
    Write = 1,
    Flush = 4,
}

/// What is asked of it.
pub(super) struct Request {
    pub command: Command,
    pub sector: u64,
    /// Where the data is: memory of the job that the request is for.
    pub data: Vec<Piece>,
}

impl Request {
    fn len(&self) -> usize {
        self.data.iter().map(|piece| piece.len).sum()
    }

    /// How many descriptors it takes: one for each piece, and those of header and status.
    fn descriptors(&self) -> usize {
        self.data.len() + 2
    }

    fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&(self.command as u32).to_le_bytes());
        header[8..].copy_from_slice(&self.sector.to_le_bytes());
        header
    }

    /// Leaves out the last sector.
    fn shorten(&mut self) {
        let mut rest = SECTOR;
        while let Some(last) = self.data.last_mut() {
            if last.len > rest {
                last.len -= rest;
                return;
            }
            rest -= last.len;
            self.data.pop();
        }
    }
}

/// A request that the device has.
struct Active {
    number: u64,
    deadline: Duration,
    /// What the device calls it; `None` when it is done with it.
    token: Option<u16>,
    request: Request,
    /// How many bytes it is to move.
    len: usize,
    job: Arc<dyn AnyJob>,
    /// Nobody is told of its end.
    lost: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    /// A thread is at it.
    Resetting,
    /// A reset did not help.
    Dead,
}

struct Device {
    header: EndpointHeader,
    transport: PciTransport,
    /// Behind `transport`, as in `new`.
    queue: VirtQueue<Platform, DESCRIPTORS>,
    /// The headers and the statuses of requests: a frame of lowmem, which is below 4 GiB.
    page: SharedFrame,
    /// The requests, each in its room of the page.
    active: [Option<Active>; REQUESTS],
    state: State,
    /// How many threads have come with a request, and how many requests have begun or been refused: those are served in turn.
    tickets: u64,
    served: u64,
    /// How many requests have begun.
    requests: u64,
    stats: Stats,
    /// What is to go wrong with the next request.
    fault: Option<Fault>,
    /// How long a request may take.
    limit: Duration,
    about: About,
}

/// What the device says of itself.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub sectors: u64,
    /// In how many pieces the data of a request may be.
    pub most_pieces: usize,
    /// Whether it has a cache to flush.
    pub flushes: bool,
}

/// Has `f` look at the device.
fn with<R>(f: impl FnOnce(&mut Device) -> R) -> R {
    DEVICE.with(|device| f(device.as_mut().expect("a disk that is open has its device")))
}

/// Puts the device to use that `find` gives, if nobody has done so yet.
pub(super) fn init(find: impl FnOnce() -> Result<EndpointHeader, Error>) -> Result<About, Error> {
    DEVICE.with(|device| match device {
        Some(device) => Ok(device.about),
        None => {
            let new = Device::new(find()?)?;
            Ok(device.insert(new).about)
        }
    })
}

pub(super) fn stats() -> Stats {
    with(|device| device.stats)
}

pub(super) fn set_fault(fault: Fault) {
    with(|device| device.fault = Some(fault));
}

pub(super) fn set_limit(limit: Duration) {
    with(|device| device.limit = limit);
}

/// What became of a try to give the device a request.
enum Turn {
    Begun(u64, Duration),
    /// There is no room. The request with this number, which has until this time, is to end before there is.
    Wait(u64, Duration),
    Dead,
}

/// Gives the device a request as soon as there is room for it. Gives its number and its deadline.
///
/// Sleeps while there is none, to the end of the first request's time at the most. Whoever comes first is served first: otherwise, those
/// with many pieces would wait for ever.
#[track_caller]
pub(super) fn submit(
    task: &mut MaySleep<'_>,
    request: Request,
    job: Arc<dyn AnyJob>,
) -> Result<(u64, Duration), Error> {
    let descriptors = request.descriptors();
    let mut work = Some((request, job));
    let ticket = with(|device| {
        device.tickets += 1;
        device.tickets
    });
    let begun = loop {
        match turn(task, ticket, &mut work) {
            Turn::Begun(number, deadline) => break Ok((number, deadline)),
            Turn::Wait(number, deadline) => {
                if !FREE.wait_to(task, deadline, || with(|device| device.can_serve(ticket, descriptors))) {
                    expire(task, number);
                }
            }
            Turn::Dead => break Err(Error::Dead),
        }
    };
    FREE.wake_all();
    begun
}

/// Gives the device the request, if it is this one's turn.
fn turn(task: &mut MaySleep<'_>, ticket: u64, work: &mut Option<(Request, Arc<dyn AnyJob>)>) -> Turn {
    let mut atomic = task.atomic();
    let slot = atomic.slots().user0;
    with(|device| {
        let descriptors = work.as_ref().map_or(0, |(request, _)| request.descriptors());
        if !device.can_serve(ticket, descriptors) {
            let first = device.active.iter().flatten().min_by_key(|active| active.deadline);
            let (number, deadline) =
                first.map_or((0, timer::uptime() + RESET_LIMIT), |active| (active.number, active.deadline));
            return Turn::Wait(number, deadline);
        }
        device.served += 1;
        if device.state == State::Dead {
            return Turn::Dead;
        }
        let (request, job) = work.take().expect("a request begins once");
        let (number, deadline) = device.begin(request, job, slot);
        Turn::Begun(number, deadline)
    })
}

impl Device {
    fn new(mut header: EndpointHeader) -> Result<Self, Error> {
        platform::init();
        header.update_command(ConfigurationSpace, |command| {
            let used = CommandRegister::MEMORY_ENABLE | CommandRegister::BUS_MASTER_ENABLE;
            (command | used) & !CommandRegister::INTERRUPT_DISABLE
        });
        let address = header.header().address();
        let (bus, device, function) = (address.bus(), address.device(), address.function());
        let mut root = PciRoot::new(ConfigurationSpace);
        // Dropped behind `transport`, which resets the device then: so here, if there is an error.
        let (queue, features);
        let mut transport = PciTransport::new::<Platform, _>(&mut root, DeviceFunction { bus, device, function })
            .map_err(|_| Error::Unsupported)?;
        (queue, features) = start(&mut transport)?;

        let word = |at: usize| transport.read_config_space::<u32>(at);
        let read = || {
            let sectors = u64::from(word(CAPACITY)?) | u64::from(word(CAPACITY + 4)?) << 32;
            let most_pieces =
                if features.contains(Features::MOST_PIECES) { word(MOST_PIECES)? as usize } else { usize::MAX };
            Ok(About {
                sectors,
                most_pieces: most_pieces.min(DESCRIPTORS - 2),
                flushes: features.contains(Features::FLUSH),
            })
        };
        let about = transport.read_consistent(read).map_err(|_| Error::Unsupported)?;
        Ok(Self {
            header,
            transport,
            queue,
            page: frames::alloc(Zone::Low).expect("a frame of lowmem for headers").share(),
            active: [const { None }; _],
            state: State::Ready,
            tickets: 0,
            served: 0,
            requests: 0,
            stats: Stats { interrupts: 0, resets: 0 },
            fault: None,
            limit: LIMIT,
            about,
        })
    }

    /// Whether it is the turn of whoever has this ticket, and there is no reason to wait.
    fn can_serve(&self, ticket: u64, descriptors: usize) -> bool {
        let has_room = self.queue.available_desc() >= descriptors && self.active.iter().any(Option::is_none);
        let now = timer::uptime();
        let may_begin = match self.state {
            // For a request that nobody waits for, whoever comes next sees to it that it ends.
            State::Ready => has_room && self.active.iter().flatten().all(|active| now < active.deadline),
            State::Resetting => false,
            State::Dead => true,
        };
        self.served + 1 == ticket && may_begin
    }

    /// Where header and status of a request are, which is in this place.
    fn room(&self, place: usize) -> (Piece, Piece) {
        let start = self.page.pfn().address() + (place * ROOM) as u64;
        (Piece { address: start, len: HEADER }, Piece { address: start + STATUS as u64, len: 1 })
    }

    /// Gives the device a request that there is room for.
    fn begin(&mut self, mut request: Request, job: Arc<dyn AnyJob>, slot: Slot<'_, User0>) -> (u64, Duration) {
        let fault = self.fault.take();
        let len = request.len();
        let to_memory = request.command == Command::Read;
        if fault == Some(Fault::EndsShort) && to_memory && len > SECTOR {
            request.shorten();
        }
        let place = self.active.iter().position(Option::is_none).expect("there is room");
        let mut page = kmap_atomic(slot, &mut self.page);
        page.write_at(place * ROOM, &request.header()).expect("it fits");
        page.write_at(place * ROOM + STATUS, &[NOTHING]).expect("it fits");
        drop(page);

        let (header, status) = self.room(place);
        let token = with_slices(header, &request.data, status, to_memory, |inputs, outputs| {
            // SAFETY: the slices stand for the memory of the job (`DmaMemory`), and a room of the page. Nobody takes either before the
            // request is taken out of `active`; and that comes after the device is done, or has been reset.
            unsafe { self.queue.add(inputs, outputs) }
        });
        let token = Some(token.expect("there is room"));
        self.requests += 1;
        let (number, deadline) = (self.requests, timer::uptime() + timer::period() + self.limit);
        let lost = fault == Some(Fault::NoInterrupt);
        self.active[place] = Some(Active { number, deadline, token, request, len, job, lost });
        if fault != Some(Fault::Unheard) && self.queue.should_notify() {
            self.transport.notify(QUEUE);
        }
        (number, deadline)
    }

    /// Takes a request that the device is done with, if there is one.
    fn next_done(&mut self, slot: Slot<'_, BioSrcIrq>) -> Option<(Active, Result<(), Error>)> {
        if self.state != State::Ready {
            return None;
        }
        loop {
            // If the device names none that it has, it is left at that, until somebody's time is over.
            let token = self.queue.peek_used()?;
            let is_it = |active: &Option<Active>| active.as_ref().is_some_and(|active| active.token == Some(token));
            let place = self.active.iter().position(is_it)?;
            let (header, status) = self.room(place);
            let active = self.active[place].as_mut()?;
            let to_memory = active.request.command == Command::Read;
            let written = with_slices(header, &active.request.data, status, to_memory, |inputs, outputs| {
                // SAFETY: the slices are those that `begin` has put in: of the same pieces, in the same order.
                unsafe { self.queue.pop_used(token, inputs, outputs) }
            });
            let written = written.expect("it is the next");
            active.token = None;
            if active.lost {
                continue;
            }
            let active = self.active[place].take()?;
            let mut status = [NOTHING];
            let page = kmap_atomic(slot, &mut self.page);
            page.read_at(place * ROOM + STATUS, &mut status).expect("it fits");
            let result = match status {
                // The status counts, too.
                [DONE] if to_memory && (written as usize) < active.len + 1 => Err(Error::Short),
                [DONE] => Ok(()),
                [status] => Err(Error::Virtio { status }),
            };
            return Some((active, result));
        }
    }

    /// Tells the device to stop whatever it does.
    fn begin_reset(&mut self) {
        self.state = State::Resetting;
        self.transport.set_status(DeviceStatus::empty());
    }

    /// Whether the device has stopped: it touches no memory from then on.
    fn has_stopped(&self) -> bool {
        self.fault != Some(Fault::NoReset) && self.transport.get_status() == DeviceStatus::empty()
    }

    /// Has the device begin again, if it has stopped, or else keeps it from memory for good. Gives the requests that it had.
    fn end_reset(&mut self, has_stopped: bool) -> [Option<Active>; REQUESTS] {
        self.stats.resets += 1;
        self.fault = None;
        self.state = State::Dead;
        if !has_stopped {
            // A device that is no master of the bus cannot write there.
            self.header.update_command(ConfigurationSpace, |command| command & !CommandRegister::BUS_MASTER_ENABLE);
        } else if let Ok((queue, _)) = start(&mut self.transport) {
            self.queue = queue;
            self.state = State::Ready;
        }
        mem::replace(&mut self.active, [const { None }; _])
    }
}

/// Has a device that has been reset begin, with an empty queue.
fn start(transport: &mut PciTransport) -> Result<(VirtQueue<Platform, DESCRIPTORS>, Features), Error> {
    let features = transport.begin_init(Features::all());
    if !features.contains(Features::VERSION_1) || !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
        return Err(Error::Unsupported);
    }
    // Neither tables of descriptors elsewhere, for which it would allocate, nor notifications by number.
    let queue = VirtQueue::new(transport, QUEUE, false, false).map_err(|_| Error::Unsupported)?;
    transport.finish_init();
    Ok((queue, features))
}

/// Serves the interrupt.
pub(super) fn interrupt(irq: &mut HardIrq<'_>) {
    let is_from_device = with(|device| {
        // The line is the device's until it is asked, which is before one looks what is done: what comes later asks again.
        let is_from_device = !device.transport.ack_interrupt().is_empty();
        device.stats.interrupts += u64::from(is_from_device);
        is_from_device
    });
    if !is_from_device {
        return;
    }
    // What has ended is dropped without the lock, and whoever is woken finds room.
    while let Some((active, result)) = with(|device| device.next_done(irq.slots().bio_src_irq)) {
        // SAFETY: the device has said that it is done, and `next_done` gives a request once.
        unsafe { active.job.end(irq.slots().bounce_read, result) };
    }
    FREE.wake_all();
}

/// Ends a request whose time is over, if it has not ended meanwhile, and all others that the device has.
#[track_caller]
pub(super) fn expire(task: &mut MaySleep<'_>, number: u64) {
    let is_late = with(|device| {
        let is_late = |active: &Active| active.number == number && timer::uptime() >= active.deadline;
        let is_late = device.state == State::Ready && device.active.iter().flatten().any(is_late);
        if is_late {
            device.begin_reset();
        }
        is_late
    });
    if is_late {
        reset(task, number);
    } else {
        // Somebody else is at it.
        thread::sleep(task, Duration::from_millis(1));
    }
}

/// Ends the reset that has begun, and all requests that the device had, the one that it was for among them.
#[track_caller]
fn reset(task: &mut MaySleep<'_>, late: u64) {
    let end = timer::uptime() + RESET_LIMIT;
    let has_stopped = loop {
        let has_stopped = with(|device| device.has_stopped());
        if has_stopped || timer::uptime() >= end {
            break has_stopped;
        }
        thread::sleep(task, Duration::from_millis(1));
    };
    for active in with(|device| device.end_reset(has_stopped)).into_iter().flatten() {
        let error = if active.number == late { Error::TimedOut } else { Error::Reset };
        // SAFETY: the device has stopped, or cannot get at memory any more, and `end_reset` gives a request once.
        end_in_thread(task, |slot| unsafe { active.job.end(slot, Err(error)) });
    }
    FREE.wake_all();
}
