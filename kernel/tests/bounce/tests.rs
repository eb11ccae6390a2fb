//! Does a disk get the bytes of pages that it does not reach, and give them back; with all other memory in use; and does each request that
//! fails give everything back? Needs an empty disk, and memory above 4 GiB (6 GiB will do), or without PAE, above lowmem: there, nothing is
//! out of the disk's reach, and the tests have a reserve that says otherwise.

use alloc::vec::Vec;
use core::mem;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use core::time::Duration;

use highmem::bounce::{Reach, Refusal, Reserve, ReserveStats, Segments};
use highmem::ops::Segment;
use highmem::{Page, kmap_atomic};
use kernel::disk::{self, Disk, Error, Failure, Fault, SECTOR};
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{self, ExampleKernel, HardIrq, Task};
use kernel::sync::IrqLock;
use kernel::{harness, thread, timer};

kernel::main!(bounce_tests);

fn bounce_tests(task: &mut Task<'_>) {
    disk::set_aside(&RESERVE);
    harness::run_tests(
        task,
        &[
            ("all_other_memory_may_be_in_use", |task| balanced(task, all_other_memory_may_be_in_use)),
            ("a_flush_that_fails_is_an_error", |task| balanced(task, a_flush_that_fails_is_an_error)),
            ("pages_come_back_from_the_disk", |task| balanced(task, pages_come_back_from_the_disk)),
            ("parts_of_pages_go_where_they_belong", |task| balanced(task, parts_of_pages_go_where_they_belong)),
            ("what_the_device_reaches_is_not_copied", |task| balanced(task, what_the_device_reaches_is_not_copied)),
            ("copies_leave_the_slots_of_others_alone", |task| balanced(task, copies_leave_the_slots_of_others_alone)),
            ("a_request_left_alone_gives_its_pages_back", |task| {
                balanced(task, a_request_left_alone_gives_its_pages_back)
            }),
            ("a_request_that_never_begins_gives_its_pages_back", |task| {
                balanced(task, a_request_that_never_begins_gives_its_pages_back)
            }),
            ("a_device_error_is_an_error", |task| balanced(task, a_device_error_is_an_error)),
            ("a_bad_sector_is_an_error", |task| balanced(task, a_bad_sector_is_an_error)),
            ("a_transfer_that_ends_short_is_an_error", |task| balanced(task, a_transfer_that_ends_short_is_an_error)),
            ("a_lost_completion_ends_in_a_reset", |task| balanced(task, a_lost_completion_ends_in_a_reset)),
            ("a_reserve_that_was_drained_says_so", a_reserve_that_was_drained_says_so),
        ],
    )
}

const PAGE: usize = highmem::PAGE_SIZE;

/// As many parts of pages as the requests of these tests have.
const PARTS: usize = 8;

/// Pages of the reserve: fewer than two of the largest requests need.
const PAGES: usize = 10;

/// What a disk reaches; without PAE, less: what the direct map has.
const REACH: Reach = if Zone::Above4G.is_reachable() { Reach::FOUR_GIB } else { LOWMEM };

const LOWMEM: Reach = match Reach::of_bits(29) {
    Ok(reach) => reach,
    Err(_) => panic!("29 bits are enough"),
};

static RESERVE: Reserve<ExampleKernel, Frame, PAGES> = Reserve::new(REACH);

type Pages = Segments<Frame, PARTS>;

/// How long a request may take: usually, and where it is to take too long.
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);

/// How long anything may take that only waits for the disk.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where the disk does not reach.
fn far() -> Zone {
    if Zone::Above4G.is_reachable() { Zone::Above4G } else { Zone::High }
}

/// Where it does, and the kernel has no address, if there is such a zone.
fn near() -> Zone {
    if Zone::Above4G.is_reachable() { Zone::High } else { Zone::Low }
}

/// How many frames are free, by zone, and pages of the reserve.
fn free() -> ([usize; 3], usize) {
    (Zone::ALL.map(|zone| frames::stats(zone).free), RESERVE.stats().free)
}

/// Runs a test, and looks whether it leaves a frame, a page of the reserve, or a slot in use.
fn balanced(task: &mut Task<'_>, test: fn(&mut Task<'_>, &Disk)) {
    let disk = Disk::open(task).expect("there is a disk: start this with one");
    disk.set_limit(LONG);
    let before = free();
    test(task, &disk);
    assert_eq!(free(), before, "frames free, by zone, and pages of the reserve");
    assert_eq!(kmap::slots().filter(|&(_, address)| kmap::entry(address) != 0).count(), 0, "slots in use");
}

fn frame(zone: Zone) -> Frame {
    frames::alloc(zone).unwrap_or_else(|| panic!("no frames free in zone {zone}: start this with 6 GiB (--mem 6G)"))
}

/// Byte `at` of what has this seed: it differs from its neighbours, from the one a sector away, and with another seed.
fn byte(seed: u32, at: usize) -> u8 {
    let word = (at as u32).wrapping_mul(0x9e37_79b1) ^ seed.wrapping_mul(0x85eb_ca6b);
    (word >> 24 ^ word >> 11 ^ at as u32) as u8
}

fn fill(task: &mut Task<'_>, frame: &mut Frame, seed: u32) {
    let mut atomic = task.atomic();
    let mut page = kmap_atomic(atomic.slots().user0, frame);
    page.iter_mut().enumerate().for_each(|(at, to)| *to = byte(seed, at));
}

fn is_filled(task: &mut Task<'_>, frame: &Frame, seed: u32) -> bool {
    kmap_atomic(task.atomic().slots().user0, frame).iter().enumerate().all(|(at, &found)| found == byte(seed, at))
}

/// Whole pages, of these zones in turn, each with its own seed.
fn pages(task: &mut Task<'_>, zones: &[Zone], seed: u32) -> Pages {
    let mut pages = Segments::new();
    for (number, zone) in zones.iter().enumerate() {
        let mut frame = frame(*zone);
        fill(task, &mut frame, seed.wrapping_add(number as u32));
        pages.push(Segment::whole(frame)).expect("there is room");
    }
    pages
}

/// Gives the pages back, each of which must be filled as by [`pages`].
#[track_caller]
fn check(task: &mut Task<'_>, pages: Pages, seed: u32) -> Vec<Frame> {
    let frames: Vec<Frame> = pages.into_iter().map(Segment::into_run).collect();
    for (number, frame) in frames.iter().enumerate() {
        assert!(
            is_filled(task, frame, seed.wrapping_add(number as u32)),
            "page {number}, frame {:#x}",
            frame.pfn().number()
        );
    }
    frames
}

#[track_caller]
fn write(task: &mut Task<'_>, disk: &Disk, sector: u64, pages: Pages) -> Pages {
    disk.write(task, &RESERVE, sector, pages).and_then(|pending| pending.wait(task)).expect("it is written")
}

#[track_caller]
fn read(task: &mut Task<'_>, disk: &Disk, sector: u64, pages: Pages) -> Pages {
    disk.read(task, &RESERVE, sector, pages).and_then(|pending| pending.wait(task)).expect("it is read")
}

/// How a request fails; all of its pages come back.
#[track_caller]
fn failure(task: &mut Task<'_>, disk: &Disk, writes: bool, sector: u64, zones: &[Zone]) -> Error {
    let pages = pages(task, zones, 1000);
    let begun =
        if writes { disk.write(task, &RESERVE, sector, pages) } else { disk.read(task, &RESERVE, sector, pages) };
    let failed = begun.and_then(|pending| pending.wait(task));
    let Failure { error, memory } = failed.expect_err("it fails");
    let frames = memory.into_iter().map(Segment::into_run);
    let (mut count, mut far_ones) = (0, Vec::new());
    for (number, frame) in frames.enumerate() {
        count += 1;
        if !REACH.covers(frame.pfn()) {
            far_ones.push((number, frame));
        }
    }
    assert_eq!(count, zones.len(), "pages that came back");
    // What the device has not seen is as it was: after an error, nothing is copied.
    for (number, frame) in &far_ones {
        assert!(is_filled(task, frame, 1000 + *number as u32), "page {number} was copied, after {error}");
    }
    error
}

/// The disk works: by the reserve, and without.
#[track_caller]
fn works(task: &mut Task<'_>, disk: &Disk, seed: u32) {
    let zones = [far(), near(), far()];
    let written = pages(task, &zones, seed);
    let written = write(task, disk, 640, written);
    check(task, written, seed);
    let empty = pages(task, &[near(), far(), far()], !seed);
    let found = read(task, disk, 640, empty);
    check(task, found, seed);
}

/// The first flush fails on this disk, of those that have something to flush.
fn a_flush_that_fails_is_an_error(task: &mut Task<'_>, disk: &Disk) {
    works(task, disk, 1);
    let error = disk.flush(task).expect_err("it fails");
    assert!(error.is_of_device(), "{error}");
    disk.flush(task).expect("the next one does not");
    works(task, disk, 2);
}

fn pages_come_back_from_the_disk(task: &mut Task<'_>, disk: &Disk) {
    let mixed = [far(), near(), far(), far(), near(), far(), far(), far()];
    for (seed, count) in (1..=PARTS).enumerate() {
        let seed = seed as u32 * 100;
        for (from, to) in [(&mixed[..count], [far(); PARTS]), (&[far(); PARTS][..count], mixed)] {
            let written = pages(task, from, seed);
            let written = write(task, disk, 8 * u64::from(seed), written);
            check(task, written, seed);
            let empty = pages(task, &to[..count], !seed);
            let found = read(task, disk, 8 * u64::from(seed), empty);
            check(task, found, seed);
        }
    }
    disk.flush(task).expect("it is on the disk");
}

/// Bytes before and behind a part are nobody's business.
fn parts_of_pages_go_where_they_belong(task: &mut Task<'_>, disk: &Disk) {
    const PLACES: [(usize, usize); 6] = [(0, 512), (512, 1024), (3584, 512), (2, 510), (100, 2), (0, PAGE)];
    assert_eq!(PLACES.iter().map(|(_, len)| len).sum::<usize>() % SECTOR, 0);
    let list = |task: &mut Task<'_>, seed| {
        let mut parts = Pages::new();
        for (number, (offset, len)) in PLACES.into_iter().enumerate() {
            let mut page = frame(if number % 3 == 1 { near() } else { far() });
            fill(task, &mut page, seed + number as u32);
            parts.push(Segment::new(page, offset, len).expect("within the page")).expect("there is room");
        }
        parts
    };
    let written = list(task, 10);
    drop(write(task, disk, 5000, written));
    let empty = list(task, 20);
    let found = read(task, disk, 5000, empty);
    for (number, (segment, (offset, len))) in found.into_iter().zip(PLACES).enumerate() {
        let page = segment.into_run();
        let part = offset..offset + len;
        for (at, &found) in kmap_atomic(task.atomic().slots().user0, &page).iter().enumerate() {
            let seed = if part.contains(&at) { 10 } else { 20 };
            assert_eq!(found, byte(seed + number as u32, at), "part {number}, byte {at}");
        }
    }
}

fn what_the_device_reaches_is_not_copied(task: &mut Task<'_>, disk: &Disk) {
    let counts = |stats: ReserveStats| (stats.bounced, stats.passed);
    for (zones, expected) in [([near(); 3], (0, 3)), ([far(); 3], (3, 0)), ([near(), far(), near()], (1, 2))] {
        let before = counts(RESERVE.stats());
        let written = pages(task, &zones, 70);
        drop(write(task, disk, 2000, written));
        let after = counts(RESERVE.stats());
        assert_eq!((after.0 - before.0, after.1 - before.1), expected, "bounced and passed, of {zones:?}");
    }
}

/// Runs `f` in a thread, which is not to wait for anything but the disk.
#[track_caller]
fn in_time<T: Send + 'static>(task: &mut Task<'_>, f: impl FnOnce(&mut Task<'_>) -> T + Send + 'static) -> T {
    let thread = thread::spawn("worker", f);
    let end = timer::uptime() + PATIENCE;
    while !thread.is_finished() {
        assert!(timer::uptime() < end, "deadlock: no progress within {PATIENCE:?}");
        thread::sleep(task, Duration::from_millis(5));
    }
    thread.join(task)
}

/// No frame is free, in any zone, and there are more requests than the reserve has pages for.
fn all_other_memory_may_be_in_use(task: &mut Task<'_>, disk: &Disk) {
    const THREADS: u32 = 6;
    const ROUNDS: u32 = 12;
    let before = RESERVE.stats();
    let mut own: Vec<Pages> = (0..THREADS).map(|number| pages(task, &[far(); PARTS], number * 1000)).collect();
    let hoards = Zone::ALL.map(frames::hoard);
    assert!(Zone::ALL.into_iter().all(|zone| frames::alloc(zone).is_none()));
    let disk = disk.clone();
    in_time(task, move |task| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (disk, mut pages) = (disk.clone(), own.remove(0));
                thread::spawn("swapper", move |task| {
                    let seed = number * 1000;
                    for round in 0..ROUNDS {
                        let sector = u64::from(number * 200 + round * 8);
                        pages = write(task, &disk, sector, pages);
                        for mut frame in mem::take(&mut pages).into_iter().map(Segment::into_run) {
                            fill(task, &mut frame, !seed);
                            pages.push(Segment::whole(frame)).expect("there is room");
                        }
                        pages = read(task, &disk, sector, pages);
                        for frame in check(task, mem::take(&mut pages), seed) {
                            pages.push(Segment::whole(frame)).expect("there is room");
                        }
                    }
                    pages
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| drop(thread.join(task)));
    });
    drop(hoards);
    let after = RESERVE.stats();
    let requests = u64::from(2 * THREADS * ROUNDS);
    assert_eq!(after.bounced - before.bounced, requests * PARTS as u64);
    assert!(after.sleeps > before.sleeps && after.low_water < PARTS, "there was enough for all: {after}");
}

/// How often the timer has interrupted the task while it held its slots, and whether it does; the page of its handler.
static HITS: AtomicU32 = AtomicU32::new(0);
static HELD: AtomicBool = AtomicBool::new(false);
static IRQ_FRAME: IrqLock<Option<Frame>> = IrqLock::new(None);

/// The first CPU, which the disk interrupts, holds slots while reads come to their end: those of a task, and in the timer's handler `Irq0`.
fn copies_leave_the_slots_of_others_alone(task: &mut Task<'_>, disk: &Disk) {
    const WANTED: u32 = 3;
    const ROUNDS: u32 = 5_000;

    fn tick(irq: &mut HardIrq<'_>) {
        IRQ_FRAME.with(|frame| {
            let mut page = kmap_atomic(irq.slots().irq0, frame.as_mut().expect("there while there are ticks"));
            assert!(page.iter().all(|&byte| byte == 0x1f), "the interrupt's page has somebody else's bytes");
            page.fill(0x1f);
        });
        if HELD.load(Relaxed) {
            HITS.fetch_add(1, Relaxed);
        }
    }

    let mut own = frame(far());
    kmap_atomic(task.atomic().slots().user0, &mut own).fill(0x1f);
    IRQ_FRAME.with(|frame| *frame = Some(own));
    HITS.store(0, Relaxed);
    timer::set_handler(tick);
    timer::set_rate(2_000);
    let written = pages(task, &[far(); PARTS], 300);
    drop(write(task, disk, 4096, written));
    let disk = disk.clone();
    let holder = thread::spawn_on(0, "holder", move |task| {
        let mut held = [0, 1].map(|_| frame(far()));
        let mut copies = 0;
        for round in 0..ROUNDS {
            if copies >= WANTED && HITS.load(Relaxed) > 0 {
                break;
            }
            let empty = pages(task, &[far(); PARTS], 7 * round);
            let before = disk.stats().interrupts;
            let pending = disk.read(task, &RESERVE, 4096, empty).expect("it begins");
            copies += u32::from(hold(task, &disk, &mut held, before));
            let found = pending.wait(task).expect("it is read");
            check(task, found, 300);
        }
        copies
    });

    /// Holds two slots for some time; says whether the disk has interrupted meanwhile.
    fn hold(task: &mut Task<'_>, disk: &Disk, pages: &mut [Frame; 2], before: u64) -> bool {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let [one, other] = pages;
        let mut one = kmap_atomic(slots.user0, one);
        let mut other = kmap_atomic(slots.user1, other);
        let came_early = disk.stats().interrupts > before;
        HELD.store(true, Relaxed);
        one.fill(0x81);
        other.fill(0x82);
        for _ in 0..200 {
            let whole = one.iter().all(|&byte| byte == 0x81) && other.iter().all(|&byte| byte == 0x82);
            assert!(whole, "the task's pages have somebody else's bytes");
            if disk.stats().interrupts > before {
                break;
            }
        }
        // And once more behind the interrupt.
        let whole = one.iter().all(|&byte| byte == 0x81) && other.iter().all(|&byte| byte == 0x82);
        assert!(whole, "the task's pages have somebody else's bytes");
        HELD.store(false, Relaxed);
        !came_early && disk.stats().interrupts > before
    }

    let copies = holder.join(task);
    timer::clear_handler();
    timer::set_rate(timer::DEFAULT_RATE);
    IRQ_FRAME.with(Option::take);
    assert!(copies >= WANTED, "only {copies} reads ended while the task held its slots");
    assert!(HITS.load(Relaxed) > 0, "no tick came while the task held its slots");
}

fn a_request_left_alone_gives_its_pages_back(task: &mut Task<'_>, disk: &Disk) {
    let before = free();
    let written = pages(task, &[far(); 4], 1);
    drop(disk.write(task, &RESERVE, 100, written).expect("it begins"));
    let empty = pages(task, &[far(); 4], 2);
    drop(disk.read(task, &RESERVE, 100, empty).expect("it begins"));
    works(task, disk, 3);
    assert_eq!(free(), before);
}

fn a_request_that_never_begins_gives_its_pages_back(task: &mut Task<'_>, disk: &Disk) {
    let before = free();
    for writes in [true, false] {
        let error = failure(task, disk, writes, u64::MAX - 7, &[far(), near()]);
        assert_eq!(error, Error::SectorNumber);
        assert_eq!(free(), before);
    }
    let mut part = Pages::new();
    part.push(Segment::new(frame(far()), 0, 100).expect("within the page")).expect("there is room");
    let refused = disk.write(task, &RESERVE, 0, part).err().expect("it is not of whole sectors");
    assert_eq!(refused.error, Error::Length);
    drop(refused);
    assert_eq!(free(), before);
    works(task, disk, 4);
}

fn a_device_error_is_an_error(task: &mut Task<'_>, disk: &Disk) {
    let before = free();
    for writes in [true, false] {
        for sector in [disk.sectors(), disk.sectors() - 1] {
            let error = failure(task, disk, writes, sector, &[far(), near(), far()]);
            assert!(error.is_of_device(), "{error}");
            assert_eq!(free(), before);
            works(task, disk, 5);
        }
    }
    assert_eq!(disk.stats().resets, 0);
}

/// Sectors that cannot be read, and written, on this disk.
const BAD: [(bool, u64); 2] = [(false, 6400), (true, 6500)];

fn a_bad_sector_is_an_error(task: &mut Task<'_>, disk: &Disk) {
    let before = free();
    for (writes, bad) in BAD {
        for first in [bad, bad - 4, bad - 15] {
            let error = failure(task, disk, writes, first, &[far(), near()]);
            assert!(error.is_of_device(), "{error}");
            assert_eq!(free(), before);
            works(task, disk, 8);
        }
        // Those beside it are as good as any, and so is it in the other direction.
        for sector in [bad - 16, bad + 1] {
            let written = pages(task, &[far(), near()], 11);
            let written = write(task, disk, sector, written);
            let found = read(task, disk, sector, written);
            check(task, found, 11);
        }
        let other = pages(task, &[far()], 12);
        drop(if writes { read(task, disk, bad, other) } else { write(task, disk, bad, other) });
    }
    assert_eq!(disk.stats().resets, 0);
}

fn a_transfer_that_ends_short_is_an_error(task: &mut Task<'_>, disk: &Disk) {
    let before = free();
    // A virtio disk does not say how much it has written.
    let directions: &[bool] = if matches!(disk, Disk::Ide(_)) { &[true, false] } else { &[false] };
    for &writes in directions {
        disk.break_next(Fault::EndsShort);
        assert_eq!(failure(task, disk, writes, 400, &[far(), near(), far()]), Error::Short);
        assert_eq!(free(), before);
        works(task, disk, 6);
    }
    assert_eq!(disk.stats().resets, 0);
}

fn a_lost_completion_ends_in_a_reset(task: &mut Task<'_>, disk: &Disk) {
    let before = free();
    for writes in [true, false] {
        let (resets, start) = (disk.stats().resets, timer::uptime());
        disk.set_limit(SHORT);
        disk.break_next(Fault::NoInterrupt);
        let error = failure(task, disk, writes, 500, &[far(), near(), far()]);
        disk.set_limit(LONG);
        assert_eq!((error, disk.stats().resets), (Error::TimedOut, resets + 1));
        assert!(timer::uptime() - start >= SHORT, "it was given up too early");
        assert_eq!(free(), before);
        works(task, disk, 7);
    }
}

/// A driver that drops requests drains the reserve, and who needs more than is left is told, whether he waits already or comes later.
fn a_reserve_that_was_drained_says_so(task: &mut Task<'_>) {
    static LEAKY: Reserve<ExampleKernel, Frame, 6> = Reserve::new(REACH);
    disk::set_aside(&LEAKY);
    let disk = Disk::open(task).expect("there is a disk");
    disk.set_limit(LONG);
    let before = free();

    let two = pages(task, &[far(); 2], 1);
    let (prepared, _) = LEAKY.read(task, two).expect("there are pages");
    let held = prepared.submit();
    // This one waits for what `held` has.
    let waiting = thread::spawn("waiting", |task| {
        let five = pages(task, &[far(); 5], 1);
        LEAKY.read(task, five).map(drop).map_err(|refused| (refused.why, refused.segments.into_iter().count()))
    });
    thread::sleep(task, SHORT);
    assert!(!waiting.is_finished());
    drop(held);
    let (why, returned) = waiting.join(task).expect_err("there will never be five pages");
    assert_eq!((why, returned), (Refusal::TooLarge { needed: 5, pages: 4 }, 5));
    let stats = LEAKY.stats();
    assert_eq!((stats.pages, stats.free, stats.lost), (6, 4, 2));

    let five = pages(task, &[far(); 5], 1);
    let refused = disk.write(task, &LEAKY, 0, five).err().expect("there will never be five pages");
    assert_eq!(refused.error, Error::Refused(Refusal::TooLarge { needed: 5, pages: 4 }));
    assert_eq!(refused.memory.into_iter().count(), 5);

    // What is left is enough for others.
    let four = pages(task, &[far(); 4], 9);
    let four = disk.write(task, &LEAKY, 0, four).and_then(|pending| pending.wait(task)).expect("it is written");
    check(task, four, 9);
    assert_eq!(LEAKY.stats().free, 4);
    let leaked: usize = before.0.iter().sum::<usize>() - free().0.iter().sum::<usize>();
    assert_eq!(leaked, 2, "the pages of the request that was dropped, and no others");
}
