//! Does a disk on virtio have what was written to it, with many requests at the device at once, and does each that fails give everything
//! back? Needs an empty disk on virtio, and memory above 4 GiB (6 GiB will do).

#![no_std]
#![no_main]

extern crate alloc;

#[path = "disk/memory.rs"]
mod memory;

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use highmem::linux::BounceRead;
use highmem::ops::{Segment, memcpy_to_run};
use highmem::{Page, PageRun};
use kernel::disk::{DmaMemory, Error, Failure, Fault, MAX_SECTORS, Pending, SECTOR, Stats};
use kernel::frames::{self, SharedFrame, Zone};
use kernel::kmap::{self, Slot, Task};
use kernel::sync::IrqLock;
use kernel::virtio::Disk;
use kernel::{harness, thread, timer};
use memory::{At, Memory, PAGE, Run, gather, pattern, segment};

kernel::main!(virtio_tests);

fn virtio_tests(task: &mut Task<'_>) {
    harness::run_tests(
        task,
        &[
            ("the_disk_says_what_it_is", |task| balanced(task, the_disk_says_what_it_is)),
            ("an_empty_disk_is_empty", |task| balanced(task, an_empty_disk_is_empty)),
            // Before whoever else flushes.
            ("an_error_of_the_disk_is_one_of_the_request", |task| {
                balanced(task, an_error_of_the_disk_is_one_of_the_request)
            }),
            ("the_disk_has_what_was_written", |task| balanced(task, the_disk_has_what_was_written)),
            ("data_begins_and_ends_anywhere", |task| balanced(task, data_begins_and_ends_anywhere)),
            ("data_is_in_many_small_pieces", |task| balanced(task, data_is_in_many_small_pieces)),
            ("pieces_may_be_of_the_same_memory", |task| balanced(task, pieces_may_be_of_the_same_memory)),
            ("memory_of_a_late_request_is_left_alone", |task| balanced(task, memory_of_a_late_request_is_left_alone)),
            ("requests_end_for_who_made_them", |task| balanced(task, requests_end_for_who_made_them)),
            ("many_requests_are_at_the_device", |task| balanced(task, many_requests_are_at_the_device)),
            ("threads_share_the_queue", |task| balanced(task, threads_share_the_queue)),
            ("a_full_queue_is_waited_for", |task| balanced(task, a_full_queue_is_waited_for)),
            ("memory_that_does_not_fit_is_refused", |task| balanced(task, memory_that_does_not_fit_is_refused)),
            ("a_sector_past_the_end_is_an_error", |task| balanced(task, a_sector_past_the_end_is_an_error)),
            ("a_transfer_that_ends_short_is_an_error", |task| balanced(task, a_transfer_that_ends_short_is_an_error)),
            ("a_lost_completion_ends_in_a_reset", |task| balanced(task, a_lost_completion_ends_in_a_reset)),
            ("a_reset_ends_all_that_the_device_has", |task| balanced(task, a_reset_ends_all_that_the_device_has)),
            ("a_request_left_alone_keeps_its_memory", |task| balanced(task, a_request_left_alone_keeps_its_memory)),
            // The last: the disk is of no use after it.
            ("a_device_that_does_not_stop_is_dead", |task| balanced(task, a_device_that_does_not_stop_is_dead)),
        ],
    )
}

/// As much as a request can have, and a page.
const LARGE: usize = MAX_SECTORS as usize * SECTOR / PAGE + 1;

/// In how many pieces the data of a request can be: there are 128 descriptors, and two are those of header and status.
const PIECES: usize = 126;

/// How long a request may take: usually, and where it is to take too long.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

/// Where the device reaches what the kernel has no address for.
const REACHED: Zone = Zone::High;

/// How many frames are free, by zone.
fn free() -> [usize; 3] {
    Zone::ALL.map(|zone| frames::stats(zone).free)
}

/// Runs a test, and looks whether it leaves a frame or a slot in use.
fn balanced(task: &mut Task<'_>, test: fn(&mut Task<'_>, &Disk)) {
    let disk = Disk::open(task).expect("there is a disk: start this with one");
    disk.set_limit(LONG);
    let before = free();
    test(task, &disk);
    assert_eq!(free(), before, "frames free, by zone");
    assert_eq!(kmap::slots().filter(|&(_, address)| kmap::entry(address) != 0).count(), 0, "slots in use");
}

/// Memory that notes how it was told of its end, and how many resets there had been.
struct Watched {
    memory: Memory,
    disk: Disk,
    ends: Ends,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("memory", &self.memory).finish_non_exhaustive()
    }
}

type Ends = Arc<IrqLock<Vec<(Result<(), Error>, u64)>>>;

// SAFETY: as the memory in it.
unsafe impl DmaMemory for Watched {
    fn segments(&self) -> impl Iterator<Item = (u64, usize)> {
        self.memory.segments()
    }

    unsafe fn end(&mut self, _slot: Slot<'_, BounceRead>, result: Result<(), Error>) {
        let resets = self.disk.stats().resets;
        self.ends.with(|ends| ends.push((result, resets)));
    }
}

impl Watched {
    /// So much memory that has these bytes, all of them the same.
    fn of(task: &mut Task<'_>, disk: &Disk, byte: u8, len: usize) -> Self {
        Self { memory: filled(task, byte, len), disk: disk.clone(), ends: Arc::new(IrqLock::new(Vec::new())) }
    }
}

fn filled(task: &mut Task<'_>, byte: u8, len: usize) -> Memory {
    segment(Run::of(task, REACHED, &vec![byte; len]), 0, len)
}

fn with_bytes(task: &mut Task<'_>, bytes: &[u8]) -> Memory {
    segment(Run::of(task, REACHED, bytes), 0, bytes.len())
}

#[track_caller]
fn put(task: &mut Task<'_>, disk: &Disk, sector: u64, bytes: &[u8]) {
    let memory = with_bytes(task, bytes);
    let memory = disk.write_dma(task, sector, memory).and_then(|pending| pending.wait(task)).expect("it is written");
    assert!(gather(task, &memory) == bytes, "a write has changed the memory");
}

#[track_caller]
fn get(task: &mut Task<'_>, disk: &Disk, sector: u64, len: usize) -> Vec<u8> {
    // What the disk does not overwrite is seen.
    let memory = filled(task, 0xa5, len);
    let memory = disk.read_dma(task, sector, memory).and_then(|pending| pending.wait(task)).expect("it is read");
    gather(task, &memory)
}

/// Writes and reads.
#[track_caller]
fn works(task: &mut Task<'_>, disk: &Disk, seed: u32) {
    let bytes = pattern(seed, 3 * SECTOR);
    put(task, disk, 300, &bytes);
    assert!(get(task, disk, 300, bytes.len()) == bytes, "the disk has something else");
    disk.flush(task).expect("the disk flushes its cache");
}

fn the_disk_says_what_it_is(task: &mut Task<'_>, disk: &Disk) {
    assert_eq!(disk.sectors() * SECTOR as u64, 16 << 30);
    let again = Disk::open(task).expect("it is still there");
    assert_eq!(again.sectors(), disk.sectors());
    assert_eq!(disk.stats(), Stats { interrupts: 0, resets: 0 });
}

fn an_empty_disk_is_empty(task: &mut Task<'_>, disk: &Disk) {
    let bytes = get(task, disk, 64, PAGE);
    assert!(bytes.iter().all(|&byte| byte == 0));
}

/// Writes and reads at both ends of the disk, and in between; the neighbours stay as they are.
fn the_disk_has_what_was_written(task: &mut Task<'_>, disk: &Disk) {
    let before = disk.stats();
    let last = disk.sectors() - 1;
    let most = u64::from(MAX_SECTORS);
    let places = [(0, 1), (last, 1), (8, 8), (last - 8, 8), (1000, 1), (1001, 3), (0x1_0203, 2), (0x102_0304, most)];
    let bytes = |(sector, count): (u64, u64)| pattern(sector as u32, count as usize * SECTOR);
    for place in places {
        put(task, disk, place.0, &bytes(place));
    }
    for place in places {
        let found = get(task, disk, place.0, place.1 as usize * SECTOR);
        assert!(found == bytes(place), "{} from sector {}", place.1, place.0);
    }
    disk.flush(task).expect("the disk flushes its cache");
    // One a transfer, and one for the flush.
    assert_eq!(disk.stats(), Stats { interrupts: before.interrupts + 2 * 8 + 1, ..before });
}

/// Segments of one run, up to the longest; bytes before and behind them are nobody's business.
fn data_begins_and_ends_anywhere(task: &mut Task<'_>, disk: &Disk) {
    let all = pattern(5, LARGE * PAGE);
    let places = [0, 1, 2, 511, 512, 3000, PAGE - 512, PAGE - 1];
    let sectors = [1, 2, 7, 8, 9, 100, MAX_SECTORS as usize];
    for (number, (offset, sectors)) in places.into_iter().zip(sectors.into_iter().cycle()).enumerate() {
        let (sector, len, size) = (2000 + 300 * number as u64, sectors * SECTOR, LARGE * PAGE);
        let mut run = Run::new(REACHED, LARGE);
        memcpy_to_run(task.atomic().slots().user0, &mut run, offset, &all[..len]).expect("within the run");
        let written = disk.write_dma(task, sector, segment(run, offset, len)).and_then(|pending| pending.wait(task));
        drop(written.expect("it is written"));
        assert!(get(task, disk, sector, len) == all[..len], "{sectors} sectors from {offset:#x} on");

        // Back to where there is something else.
        let run = Run::of(task, REACHED, &vec![0x5a; size]);
        let read = disk.read_dma(task, sector, segment(run, offset, len)).and_then(|pending| pending.wait(task));
        let bytes = read.expect("it is read")[0].run().bytes(task, 0, size);
        assert!(bytes[offset..][..len] == all[..len], "{sectors} sectors to {offset:#x}");
        let others = bytes[..offset].iter().chain(&bytes[offset + len..]);
        assert!(others.copied().all(|byte| byte == 0x5a), "the device wrote elsewhere");
    }
}

/// As many pieces as there can be, of odd lengths, in an order that is not that of memory.
fn pieces() -> Memory {
    let piece = |at: usize| {
        let len = if at < 124 { [3, 253][at % 2] } else { [511, 513][at % 2] };
        Segment::new(Run::new(REACHED, 1 + at % 2), (at * 7) % (PAGE / 2), len).expect("within the run")
    };
    (0..PIECES).map(piece).collect()
}

fn data_is_in_many_small_pieces(task: &mut Task<'_>, disk: &Disk) {
    let bytes = pattern(6, pieces().iter().map(Segment::len).sum());
    put(task, disk, 77, &bytes);
    let memory = disk.read_dma(task, 77, pieces()).and_then(|pending| pending.wait(task)).expect("it is read");
    assert!(gather(task, &memory) == bytes);
    let memory = disk.write_dma(task, 9000, memory).and_then(|pending| pending.wait(task)).expect("it is written");
    drop(memory);
    assert!(get(task, disk, 9000, bytes.len()) == bytes);
}

/// The same bytes again and again.
#[derive(Debug)]
struct Repeated(SharedFrame, usize);

// SAFETY: the frame is this value's, and others may write it at any time.
unsafe impl DmaMemory for Repeated {
    fn segments(&self) -> impl Iterator<Item = (u64, usize)> {
        core::iter::repeat_n((self.0.pfn().address() + 100, SECTOR), self.1)
    }
}

fn pieces_may_be_of_the_same_memory(task: &mut Task<'_>, disk: &Disk) {
    const TIMES: usize = 5;
    let bytes = pattern(17, TIMES * SECTOR);
    put(task, disk, 4000, &bytes);
    let frame = frames::alloc(REACHED).expect("a frame").share();
    let read = disk.read_dma(task, 4000, Repeated(frame, TIMES)).and_then(|pending| pending.wait(task));
    let memory = read.expect("it is read");
    let written = disk.write_dma(task, 5000, memory).and_then(|pending| pending.wait(task));
    drop(written.expect("it is written"));
    let found = get(task, disk, 5000, TIMES * SECTOR);
    let (first, rest) = found.split_at(SECTOR);
    assert!(rest.chunks(SECTOR).all(|sector| sector == first), "the sectors differ");
    assert!(bytes.chunks(SECTOR).any(|sector| sector == first), "they are of none that was read");
}

/// Requests that the device hears of all at once.
fn many_requests_are_at_the_device(task: &mut Task<'_>, disk: &Disk) {
    const COUNT: usize = 30;
    let place = |number: usize| (20_000 + 10 * number as u64, (1 + number % 5) * SECTOR);
    for writes in [true, false] {
        let before = disk.stats().interrupts;
        let begin = |number: usize| {
            if number + 1 < COUNT {
                disk.break_next(Fault::Unheard);
            }
            let (sector, len) = place(number);
            let memory = with_bytes(task, &pattern(number as u32 * u32::from(writes), len));
            let begun = if writes { disk.write_dma(task, sector, memory) } else { disk.read_dma(task, sector, memory) };
            begun.expect("it begins")
        };
        let begun: Vec<Pending<Memory>> = (0..COUNT).map(begin).collect();
        for (number, pending) in begun.into_iter().enumerate().rev() {
            let memory = pending.wait(task).expect("it ends");
            assert!(gather(task, &memory) == pattern(number as u32, place(number).1), "request {number}");
        }
        let interrupts = disk.stats().interrupts - before;
        assert!((1..=COUNT as u64).contains(&interrupts), "{interrupts} interrupts");
    }
}

/// The device says of one at once that there is no such sector, and has to read the other.
fn requests_end_for_who_made_them(task: &mut Task<'_>, disk: &Disk) {
    const LEN: usize = 64 * SECTOR;
    let bytes = pattern(31, LEN);
    put(task, disk, 700, &bytes);
    for good_is_first in [true, false] {
        for _ in 0..10 {
            let sectors = if good_is_first { [700, disk.sectors()] } else { [disk.sectors(), 700] };
            disk.break_next(Fault::Unheard);
            let [first, second] = sectors.map(|sector| {
                let memory = filled(task, 0x5a, LEN);
                disk.read_dma(task, sector, memory).expect("it begins")
            });
            let (good, bad) = if good_is_first { (first, second) } else { (second, first) };
            let bad = bad.wait(task).expect_err("there is no such sector");
            assert_eq!(bad.error, Error::Virtio { status: 1 });
            let good = good.wait(task).expect("it is read");
            assert!(gather(task, &good) == bytes, "that is another request's end");
            assert!(gather(task, &bad.memory).iter().all(|&byte| byte == 0x5a), "and that, too");
        }
    }
}

/// Some with as many pieces as the queue has room for, and some with few.
fn threads_share_the_queue(task: &mut Task<'_>, disk: &Disk) {
    const THREADS: u64 = 8;
    let before = disk.stats().resets;
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let disk = disk.clone();
            thread::spawn("disk", move |task| {
                for round in 0..12 {
                    let sectors = 1 + (number * 5 + round * 3) % 24;
                    let bytes = pattern((number * 100 + round) as u32, sectors as usize * SECTOR);
                    let sector = 10_000 + 100 * number + 30 * (round % 3);
                    put(task, &disk, sector, &bytes);
                    if number % 2 == 0 {
                        let many = disk.read_dma(task, 77, pieces()).expect("it begins");
                        let found = get(task, &disk, sector, bytes.len());
                        assert!(found == bytes, "thread {number} round {round}");
                        many.wait(task).expect("it is read");
                    } else {
                        thread::yield_now(task);
                        let found = get(task, &disk, sector, bytes.len());
                        assert!(found == bytes, "thread {number} round {round}");
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join(task));
    assert_eq!(disk.stats().resets, before, "nobody had to wait too long");
}

/// No descriptor is free until the device hears of who has them.
fn a_full_queue_is_waited_for(task: &mut Task<'_>, disk: &Disk) {
    let before = disk.stats();
    let bytes = pattern(33, SECTOR);
    put(task, disk, 900, &bytes);
    disk.set_limit(SHORT);
    disk.break_next(Fault::Unheard);
    let all = disk.read_dma(task, 77, pieces()).expect("it begins");
    disk.set_limit(LONG);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let disk = disk.clone();
            thread::spawn("waits", move |task| get(task, &disk, 900, SECTOR))
        })
        .collect();
    thread::sleep(task, SHORT / 4);
    assert!(waiting.iter().all(|thread| !thread.is_finished()), "there was room");
    // Somebody who waits for room has the device reset, when the time of who has it is over.
    assert!(waiting.into_iter().all(|thread| thread.join(task) == bytes));
    assert_eq!(all.wait(task).err().map(|failure| failure.error), Some(Error::TimedOut));
    assert_eq!(disk.stats().resets, before.resets + 1);
}

fn memory_that_does_not_fit_is_refused(task: &mut Task<'_>, disk: &Disk) {
    const TOP: u64 = 1 << 32;
    let begun = disk.stats().interrupts;
    let many = |count: usize| (0..count).map(|at| (at as u64 * 4096, 512)).collect();
    let lists = [
        (vec![(TOP, 512)], Error::OutOfReach(TOP)),
        (vec![(4096, 512), (TOP - 512, 513)], Error::OutOfReach(TOP - 512)),
        (vec![(u64::MAX - 1, 512)], Error::OutOfReach(u64::MAX - 1)),
        (vec![(4096, 510)], Error::Length),
        (vec![], Error::Length),
        (vec![(4096, 0)], Error::Length),
        (vec![(4096, 256 * 512), (4096, 512)], Error::Length),
        (many(PIECES + 1), Error::TooManySegments),
    ];
    for (list, error) in lists {
        let refused = disk.read_dma(task, 0, At(list.clone())).err().expect("it is refused");
        assert_eq!((refused.error, refused.memory.0), (error, list));
    }
    let frame = frames::alloc(Zone::Above4G).expect("a frame above 4 GiB: start this with 6 GiB (--mem 6G)");
    let address = frame.pfn().address();
    for writes in [true, false] {
        let far = vec![Segment::whole(frames::alloc(Zone::Above4G).expect("a frame"))];
        let begun = if writes { disk.write_dma(task, 0, far) } else { disk.read_dma(task, 0, far) };
        let refused = begun.err().expect("it is refused");
        let refused_address = refused.memory[0].run().pfn().address();
        assert!(refused_address > address && refused.error == Error::OutOfReach(refused_address), "{}", refused.error);
    }
    let near = vec![Segment::whole(frames::alloc(REACHED).expect("a frame"))];
    assert_eq!(disk.write_dma(task, u64::MAX - 7, near).err().map(|refused| refused.error), Some(Error::SectorNumber));
    assert_eq!(disk.stats().interrupts, begun, "the device was asked");
}

/// A request that has to fail at the device; why it failed.
#[track_caller]
fn failure(task: &mut Task<'_>, disk: &Disk, writes: bool, sector: u64, len: usize) -> Error {
    let memory = filled(task, 7, len);
    let first = memory[0].run().first();
    let begun = if writes { disk.write_dma(task, sector, memory) } else { disk.read_dma(task, sector, memory) };
    let Failure { error, memory } = begun.expect("it begins").wait(task).expect_err("it fails");
    assert_eq!(memory[0].run().first(), first, "the memory that comes back is another");
    error
}

fn a_sector_past_the_end_is_an_error(task: &mut Task<'_>, disk: &Disk) {
    let before = disk.stats().resets;
    let end = disk.sectors();
    for writes in [false, true] {
        for (sector, len) in [(end, SECTOR), (end + 1000, SECTOR), (end - 1, 2 * SECTOR), (u64::MAX - 1, SECTOR)] {
            let error = failure(task, disk, writes, sector, len);
            assert_eq!(error, Error::Virtio { status: 1 }, "sector {sector}");
            assert!(error.is_of_device());
            works(task, disk, 8);
        }
    }
    assert_eq!(disk.stats().resets, before);
}

/// Of sectors that cannot be read or written, and a flush that fails once: `cargo xtask` has the disk made so.
fn an_error_of_the_disk_is_one_of_the_request(task: &mut Task<'_>, disk: &Disk) {
    const READ: u64 = 3_000_002;
    const WRITE: u64 = 3_000_012;
    let before = disk.stats().resets;
    for (writes, sector) in [(false, READ), (true, WRITE)] {
        let error = failure(task, disk, writes, sector, SECTOR);
        assert_eq!(error, Error::Virtio { status: 1 }, "sector {sector}");
        // One of many.
        assert_eq!(failure(task, disk, writes, sector - 2, 8 * SECTOR), error);
    }
    put(task, disk, READ, &pattern(9, SECTOR));
    assert_eq!(get(task, disk, WRITE, SECTOR), [0; SECTOR]);
    assert_eq!(disk.flush(task), Err(Error::Virtio { status: 1 }));
    works(task, disk, 10);
    assert_eq!(disk.stats().resets, before);
}

fn a_transfer_that_ends_short_is_an_error(task: &mut Task<'_>, disk: &Disk) {
    let before = disk.stats().resets;
    disk.break_next(Fault::EndsShort);
    assert_eq!(failure(task, disk, false, 400, 4 * SECTOR), Error::Short);
    works(task, disk, 11);
    // The last sector is in many pieces.
    disk.break_next(Fault::EndsShort);
    let failed = disk.read_dma(task, 77, pieces()).and_then(|pending| pending.wait(task));
    assert_eq!(failed.err().map(|failure| failure.error), Some(Error::Short));
    works(task, disk, 12);
    assert_eq!(disk.stats().resets, before);
}

fn a_lost_completion_ends_in_a_reset(task: &mut Task<'_>, disk: &Disk) {
    for fault in [Fault::NoInterrupt, Fault::Unheard] {
        for writes in [false, true] {
            let (before, start) = (disk.stats(), timer::uptime());
            disk.set_limit(SHORT);
            disk.break_next(fault);
            assert_eq!(failure(task, disk, writes, 500, 4 * SECTOR), Error::TimedOut, "{fault:?}");
            assert!(timer::uptime() - start >= SHORT, "it was given up too early");
            assert_eq!(disk.stats().resets, before.resets + 1);
            disk.set_limit(LONG);
            works(task, disk, 13);
            assert_eq!(disk.stats().resets, before.resets + 1, "one reset is enough");
        }
    }
    // A flush, which has no memory.
    disk.set_limit(SHORT);
    disk.break_next(Fault::NoInterrupt);
    assert_eq!(disk.flush(task), Err(Error::TimedOut));
    disk.set_limit(LONG);
    works(task, disk, 14);
}

/// The device has the addresses of a request that was given up, and hears of another one.
fn memory_of_a_late_request_is_left_alone(task: &mut Task<'_>, disk: &Disk) {
    const LEN: usize = 8 * SECTOR;
    put(task, disk, 600, &pattern(41, LEN));
    disk.set_limit(SHORT);
    disk.break_next(Fault::Unheard);
    let late = Watched::of(task, disk, 0x5a, LEN);
    let ends = Arc::clone(&late.ends);
    let before = disk.stats().resets;
    let failed = disk.read_dma(task, 600, late).expect("it begins").wait(task).expect_err("it takes too long");
    assert_eq!(failed.error, Error::TimedOut);
    assert_eq!(ends.with(|ends| ends.clone()), [(Err(Error::TimedOut), before + 1)], "its end, and the reset before");
    disk.set_limit(LONG);
    let memory = filled(task, 0xa5, SECTOR);
    let other = disk.read_dma(task, 300, memory).expect("it begins");
    thread::sleep(task, SHORT);
    let bytes = gather(task, &failed.memory.memory);
    assert!(bytes.iter().all(|&byte| byte == 0x5a), "the device went on with a request that was given up");
    drop(other.wait(task).expect("it is read"));
    works(task, disk, 42);
}

/// The first of them is late, and all of them end.
fn a_reset_ends_all_that_the_device_has(task: &mut Task<'_>, disk: &Disk) {
    const COUNT: usize = 9;
    let (frames_before, before) = (free(), disk.stats().resets);
    for waits_for in [0, COUNT - 1] {
        let before = disk.stats().resets;
        let watched: Vec<Watched> = (0..COUNT).map(|_| Watched::of(task, disk, 0x5a, 2 * PAGE)).collect();
        let ends: Vec<Ends> = watched.iter().map(|watched| Arc::clone(&watched.ends)).collect();
        disk.set_limit(SHORT);
        let begin = |(number, memory): (usize, Watched)| {
            // The device hears of one, which is lost, and of those before.
            disk.break_next(if number == COUNT / 2 { Fault::NoInterrupt } else { Fault::Unheard });
            let begun = if number % 3 == 0 {
                disk.write_dma(task, 6000, memory)
            } else {
                disk.read_dma(task, 6000 + 100 * number as u64, memory)
            };
            if number == COUNT / 2 {
                thread::sleep(task, SHORT / 4);
            }
            begun.expect("it begins")
        };
        let mut begun: Vec<Option<Pending<Watched>>> = watched.into_iter().enumerate().map(begin).map(Some).collect();
        disk.set_limit(LONG);
        let heard = |number: usize| number < COUNT / 2;
        for (number, ends) in ends.iter().enumerate() {
            assert_eq!(ends.with(|ends| ends.len()), usize::from(heard(number)), "request {number}");
        }
        let late = if heard(waits_for) { COUNT / 2 } else { waits_for };
        let pending = begun[late].take().expect("it was begun");
        let failed = pending.wait(task).expect_err("it takes too long");
        assert_eq!(failed.error, Error::TimedOut);
        drop(failed);
        // Now all have ended, whoever waits.
        for (number, ends) in ends.iter().enumerate() {
            let (expected, resets) = match number {
                number if heard(number) => (Ok(()), before),
                number if number == late => (Err(Error::TimedOut), before + 1),
                _ => (Err(Error::Reset), before + 1),
            };
            assert_eq!(ends.with(|ends| ends.clone()), [(expected, resets)], "request {number}");
        }
        for (number, pending) in begun.into_iter().enumerate() {
            let Some(pending) = pending else { continue };
            let error = pending.wait(task).err().map(|failure| failure.error);
            assert_eq!(error, if heard(number) { None } else { Some(Error::Reset) }, "request {number}");
        }
        assert_eq!(disk.stats().resets, before + 1, "one reset is enough");
        works(task, disk, 51);
    }
    assert_eq!((free(), disk.stats().resets), (frames_before, before + 2));
}

fn a_request_left_alone_keeps_its_memory(task: &mut Task<'_>, disk: &Disk) {
    let before = free();
    let frame = || vec![Segment::whole(frames::alloc(REACHED).expect("a frame"))];
    let taken = || before.iter().sum::<usize>() - free().iter().sum::<usize>();

    // One that the device does not know of yet: its end gives the memory back.
    disk.break_next(Fault::Unheard);
    drop(disk.read_dma(task, 0, frame()).expect("it begins"));
    thread::sleep(task, Duration::from_millis(50));
    assert_eq!(taken(), 1);
    works(task, disk, 61);
    assert_eq!(free(), before);

    // One that does not end: it has its memory, until whoever wants the disk next has the device reset.
    let resets = disk.stats().resets;
    disk.set_limit(SHORT);
    disk.break_next(Fault::NoInterrupt);
    drop(disk.read_dma(task, 0, frame()).expect("it begins"));
    disk.set_limit(LONG);
    thread::sleep(task, 2 * SHORT);
    assert_eq!((taken(), disk.stats().resets), (1, resets));
    works(task, disk, 62);
    assert_eq!((free(), disk.stats().resets), (before, resets + 1));

    // One whose end nobody has waited for keeps it for who does.
    let pending = disk.read_dma(task, 0, frame()).expect("it begins");
    works(task, disk, 63);
    drop(pending.wait(task).expect("it has ended long ago"));
    assert_eq!(free(), before);
}

fn a_device_that_does_not_stop_is_dead(task: &mut Task<'_>, disk: &Disk) {
    let frame = || vec![Segment::whole(frames::alloc(REACHED).expect("a frame"))];
    disk.set_limit(SHORT);
    disk.break_next(Fault::Unheard);
    let late = disk.read_dma(task, 0, frame()).expect("it begins");
    disk.break_next(Fault::NoReset);
    let waiting = {
        let disk = disk.clone();
        thread::spawn("waits", move |task| disk.read_dma(task, 77, pieces()).err().map(|failure| failure.error))
    };
    let failed = late.wait(task).err().map(|failure| failure.error);
    assert_eq!(failed, Some(Error::TimedOut));
    assert_eq!(waiting.join(task), Some(Error::Dead));
    for writes in [false, true] {
        let begun = if writes { disk.write_dma(task, 0, frame()) } else { disk.read_dma(task, 0, frame()) };
        assert_eq!(begun.err().map(|failure| failure.error), Some(Error::Dead));
    }
    assert_eq!(disk.flush(task), Err(Error::Dead));
}
