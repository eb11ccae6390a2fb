//! Does a disk have what was written to it, by DMA and without, and does a request that fails give everything back? Needs an empty disk,
//! and memory above 4 GiB (6 GiB will do), or without PAE, above lowmem.

#[path = "memory.rs"]
mod memory;

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use core::time::Duration;

use highmem::ops::{Segment, memcpy_to_run};
use highmem::{Page, PageRun, kmap_atomic};
use kernel::disk::{Error, Failure, Fault, MAX_SECTORS, Pending, SECTOR};
use kernel::frames::{self, Frame, Zone};
use kernel::ide::{Descriptors, DeviceError, Disk, Status};
use kernel::kmap::{self, HardIrq, Task};
use kernel::sync::IrqLock;
use kernel::{harness, smp, thread, timer};
use memory::{At, Memory, PAGE, Run, gather, pattern, segment};

kernel::main!(disk_tests);

fn disk_tests(task: &mut Task<'_>) {
    harness::run_tests(
        task,
        &[
            ("the_disk_says_what_it_is", |task| balanced(task, the_disk_says_what_it_is)),
            ("an_empty_disk_is_empty", |task| balanced(task, an_empty_disk_is_empty)),
            ("dma_reads_what_dma_wrote", |task| balanced(task, dma_reads_what_dma_wrote)),
            ("dma_goes_over_boundaries_of_descriptors", |task| balanced(task, dma_goes_over_boundaries_of_descriptors)),
            ("dma_goes_to_many_small_pieces", |task| balanced(task, dma_goes_to_many_small_pieces)),
            ("pio_reads_what_pio_wrote", |task| balanced(task, pio_reads_what_pio_wrote)),
            ("dma_and_pio_see_the_same", |task| balanced(task, dma_and_pio_see_the_same)),
            ("pio_leaves_the_slots_of_others_alone", |task| balanced(task, pio_leaves_the_slots_of_others_alone)),
            ("threads_take_turns", |task| balanced(task, threads_take_turns)),
            ("descriptors_keep_to_their_rules", |task| balanced(task, descriptors_keep_to_their_rules)),
            ("memory_that_does_not_fit_is_refused", |task| balanced(task, memory_that_does_not_fit_is_refused)),
            ("a_sector_past_the_end_is_an_error", |task| balanced(task, a_sector_past_the_end_is_an_error)),
            ("a_transfer_that_ends_short_is_an_error", |task| balanced(task, a_transfer_that_ends_short_is_an_error)),
            ("a_lost_interrupt_ends_in_a_reset", |task| balanced(task, a_lost_interrupt_ends_in_a_reset)),
            ("a_request_left_alone_keeps_its_memory", |task| balanced(task, a_request_left_alone_keeps_its_memory)),
        ],
    )
}

/// As much as a command can have, and a page.
const LARGE: usize = MAX_SECTORS as usize * SECTOR / PAGE + 1;

/// How long a request may take: usually, and where it is to take too long.
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);

/// How many frames are free, by zone.
fn free() -> [usize; 3] {
    Zone::ALL.map(|zone| frames::stats(zone).free)
}

/// Runs a test, and looks whether it leaves a frame or a slot in use.
fn balanced(task: &mut Task<'_>, test: fn(&mut Task<'_>, &Disk)) {
    let disk = Disk::open(task).expect("there is a disk: start this with one");
    let before = free();
    test(task, &disk);
    disk.set_limit(LONG);
    assert_eq!(free(), before, "frames free, by zone");
    assert_eq!(kmap::slots().filter(|&(_, address)| kmap::entry(address) != 0).count(), 0, "slots in use");
}

/// Where the device reaches what the kernel has no address for.
const REACHED: Zone = Zone::High;

/// Where it does not reach, if this mode has such frames.
fn far() -> Zone {
    if Zone::Above4G.is_reachable() { Zone::Above4G } else { Zone::High }
}

/// The two ways between disk and memory.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Dma,
    Pio,
}

type Begun<M> = Result<Pending<M>, Failure<M>>;

impl Way {
    fn read(self, task: &mut Task<'_>, disk: &Disk, sector: u64, memory: Memory) -> Begun<Memory> {
        match self {
            Self::Dma => disk.read_dma(task, sector, memory),
            Self::Pio => disk.read_pio(task, sector, memory),
        }
    }

    fn write(self, task: &mut Task<'_>, disk: &Disk, sector: u64, memory: Memory) -> Begun<Memory> {
        match self {
            Self::Dma => disk.write_dma(task, sector, memory),
            Self::Pio => disk.write_pio(task, sector, memory),
        }
    }

    /// Where it reaches, as far up as it does.
    fn zone(self) -> Zone {
        match self {
            Self::Dma => REACHED,
            Self::Pio => far(),
        }
    }

    #[track_caller]
    fn put(self, task: &mut Task<'_>, disk: &Disk, sector: u64, bytes: &[u8]) {
        let memory = segment(Run::of(task, self.zone(), bytes), 0, bytes.len());
        let memory =
            self.write(task, disk, sector, memory).and_then(|pending| pending.wait(task)).expect("it is written");
        assert!(gather(task, &memory) == bytes, "a write has changed the memory");
    }

    #[track_caller]
    fn get(self, task: &mut Task<'_>, disk: &Disk, sector: u64, len: usize) -> Vec<u8> {
        // What the disk does not overwrite is seen.
        let memory = segment(Run::of(task, self.zone(), &vec![0xa5; len]), 0, len);
        let memory = self.read(task, disk, sector, memory).and_then(|pending| pending.wait(task)).expect("it is read");
        gather(task, &memory)
    }
}

fn the_disk_says_what_it_is(task: &mut Task<'_>, disk: &Disk) {
    assert_eq!(disk.sectors() * SECTOR as u64, 16 << 30);
    assert_eq!(disk.model(), "QEMU HARDDISK");
    let again = Disk::open(task).expect("it is still there");
    assert_eq!((again.sectors(), again.model()), (disk.sectors(), disk.model()));
}

fn an_empty_disk_is_empty(task: &mut Task<'_>, disk: &Disk) {
    for way in [Way::Dma, Way::Pio] {
        let bytes = way.get(task, disk, 64, PAGE);
        assert!(bytes.iter().all(|&byte| byte == 0), "{way:?}");
    }
}

/// Writes and reads at both ends of the disk, and in between; the neighbours stay as they are.
fn reads_what_was_written(task: &mut Task<'_>, disk: &Disk, to: Way, from: Way, seed: u32) {
    let last = disk.sectors() - 1;
    let places = [
        (0, 1),
        (last, 1),
        (8, 8),
        (last - 8, 8),
        (1000, 1),
        (1001, 3),
        (0x1_0203, 2),
        (0x102_0304, u64::from(MAX_SECTORS)),
    ];
    let write = |task: &mut Task<'_>, &(sector, count): &(u64, u64)| {
        to.put(task, disk, sector, &pattern(seed + sector as u32, count as usize * SECTOR));
    };
    places.iter().for_each(|place| write(task, place));
    for (sector, count) in places {
        let found = from.get(task, disk, sector, count as usize * SECTOR);
        assert!(found == pattern(seed + sector as u32, count as usize * SECTOR), "{count} from sector {sector}");
    }
    disk.flush(task).expect("the disk flushes its cache");
}

fn dma_reads_what_dma_wrote(task: &mut Task<'_>, disk: &Disk) {
    let before = disk.stats();
    reads_what_was_written(task, disk, Way::Dma, Way::Dma, 1);
    // One a transfer, and one for the flush.
    assert_eq!(disk.stats().interrupts - before.interrupts, 2 * 8 + 1);
    assert_eq!(disk.stats().resets, before.resets);
}

fn pio_reads_what_pio_wrote(task: &mut Task<'_>, disk: &Disk) {
    let before = disk.stats();
    reads_what_was_written(task, disk, Way::Pio, Way::Pio, 2);
    // One a sector, and one for the flush.
    assert_eq!(disk.stats().interrupts - before.interrupts, 2 * (1 + 1 + 8 + 8 + 1 + 3 + 2 + 256) + 1);
    assert_eq!(disk.stats().resets, before.resets);
}

fn dma_and_pio_see_the_same(task: &mut Task<'_>, disk: &Disk) {
    reads_what_was_written(task, disk, Way::Dma, Way::Pio, 3);
    reads_what_was_written(task, disk, Way::Pio, Way::Dma, 4);
}

/// Segments of one run that begin and end anywhere, over multiples of 64 KiB, and up to one.
fn dma_goes_over_boundaries_of_descriptors(task: &mut Task<'_>, disk: &Disk) {
    const SECTORS: usize = MAX_SECTORS as usize;
    let all = pattern(5, LARGE * PAGE);
    let first = Run::new(REACHED, 2 * LARGE).first().number();
    // From the run's first page to the first page that begins 64 KiB.
    let up = first.next_multiple_of(16) - first;
    let places = [(0, SECTORS), (2, SECTORS), (PAGE - 2, SECTORS), (PAGE - 510, SECTORS - 1)];
    let ends = [(up * PAGE, 128), (up * PAGE, 1), (up * PAGE + 15 * PAGE, 8), (up * PAGE + 16 * PAGE - 2, 1)];
    for (offset, sectors) in places.into_iter().chain(ends) {
        let len = sectors * SECTOR;
        let mut run = Run::new(REACHED, 2 * LARGE);
        assert_eq!(run.first().number(), first, "the allocator gives the lowest frames");
        memcpy_to_run(task.atomic().slots().user0, &mut run, offset, &all[..len]).expect("within the run");
        let written = disk.write_dma(task, 512, segment(run, offset, len)).and_then(|pending| pending.wait(task));
        drop(written.expect("it is written"));
        assert!(Way::Pio.get(task, disk, 512, len) == all[..len], "{sectors} sectors from {offset:#x} on");

        // Back to where there is something else, before and behind, too.
        let size = 2 * LARGE * PAGE;
        let run = Run::of(task, REACHED, &vec![0x5a; size]);
        let read = disk.read_dma(task, 512, segment(run, offset, len)).and_then(|pending| pending.wait(task));
        let memory = read.expect("it is read");
        let bytes = memory[0].run().bytes(task, 0, size);
        assert!(bytes[offset..][..len] == all[..len], "{sectors} sectors to {offset:#x}");
        let others = bytes[..offset].iter().chain(&bytes[offset + len..]);
        assert!(others.copied().all(|byte| byte == 0x5a), "the device wrote elsewhere");
    }
}

fn dma_goes_to_many_small_pieces(task: &mut Task<'_>, disk: &Disk) {
    // As many descriptors as there can be, in an order that is not that of memory.
    let lens: Vec<usize> = (0..512).map(|at| if at % 2 == 0 { 2 } else { 254 }).collect();
    let total: usize = lens.iter().sum();
    let bytes = pattern(6, total);
    Way::Pio.put(task, disk, 77, &bytes);
    let run = |at: usize| Run::new(REACHED, 1 + at % 2);
    let piece =
        |(at, &len): (usize, &usize)| Segment::new(run(at), (at * 6) % (PAGE / 2), len).expect("within the run");
    let memory: Memory = lens.iter().enumerate().map(piece).collect();
    let memory = disk.read_dma(task, 77, memory).and_then(|pending| pending.wait(task)).expect("it is read");
    assert!(gather(task, &memory) == bytes);

    let memory = disk.write_dma(task, 9000, memory).and_then(|pending| pending.wait(task)).expect("it is written");
    drop(memory);
    assert!(Way::Pio.get(task, disk, 9000, total) == bytes);
}

/// How often the timer has interrupted the task while it held its slots, and whether it does.
static HITS: AtomicU32 = AtomicU32::new(0);
static HELD: AtomicBool = AtomicBool::new(false);
static IRQ_FRAME: IrqLock<Option<Frame>> = IrqLock::new(None);

/// The first CPU, which the disk interrupts, holds slots while a request goes on: those of a task, and in the timer's handler `Irq0`.
fn pio_leaves_the_slots_of_others_alone(task: &mut Task<'_>, disk: &Disk) {
    /// How many interrupts have to come meanwhile: some rounds' worth, more of them on a host that is busy.
    const WANTED: u64 = 100;
    const ROUNDS: u32 = 200;

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

    let mut own = frames::alloc(far()).expect("a frame");
    kmap_atomic(task.atomic().slots().user0, &mut own).fill(0x1f);
    IRQ_FRAME.with(|frame| *frame = Some(own));
    HITS.store(0, Relaxed);
    timer::set_handler(tick);
    timer::set_rate(2_000);
    let disk = disk.clone();
    let served = thread::spawn_on(0, "holder", move |task| {
        let mut served = 0;
        let mut pages = [0, 1].map(|_| frames::alloc(far()).expect("a frame"));
        for round in 0..ROUNDS {
            if served > WANTED && HITS.load(Relaxed) > 0 {
                break;
            }
            let bytes = pattern(round, MAX_SECTORS as usize * SECTOR);
            let memory = segment(Run::of(task, far(), &bytes), 0, bytes.len());
            let pending = Way::Pio.write(task, &disk, 4096, memory).expect("it begins");
            served += hold(task, &disk, &mut pages);
            pending.wait(task).expect("it is written");

            let memory = segment(Run::of(task, far(), &vec![0; bytes.len()]), 0, bytes.len());
            let pending = Way::Pio.read(task, &disk, 4096, memory).expect("it begins");
            served += hold(task, &disk, &mut pages);
            let memory = pending.wait(task).expect("it is read");
            assert!(gather(task, &memory) == bytes, "round {round}");
        }
        served
    });

    /// Holds two slots for some time, and gives the number of the disk's interrupts meanwhile.
    fn hold(task: &mut Task<'_>, disk: &Disk, pages: &mut [Frame; 2]) -> u64 {
        let before = disk.stats().interrupts;
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let [one, other] = pages;
        let mut one = kmap_atomic(slots.user0, one);
        let mut other = kmap_atomic(slots.user1, other);
        one.fill(0x81);
        other.fill(0x82);
        HELD.store(true, Relaxed);
        for _ in 0..200 {
            assert!(one.iter().all(|&byte| byte == 0x81) && other.iter().all(|&byte| byte == 0x82));
            if disk.stats().interrupts >= before + u64::from(MAX_SECTORS) / 2 {
                break;
            }
        }
        HELD.store(false, Relaxed);
        disk.stats().interrupts - before
    }

    let served = served.join(task);
    timer::clear_handler();
    timer::set_rate(timer::DEFAULT_RATE);
    IRQ_FRAME.with(Option::take);
    assert!(served > WANTED, "only {served} interrupts of the disk came while the task held its slots");
    assert!(HITS.load(Relaxed) > 0, "no tick came while the task held its slots");
}

fn threads_take_turns(task: &mut Task<'_>, disk: &Disk) {
    const THREADS: u64 = 6;
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let disk = disk.clone();
            thread::spawn("disk", move |task| {
                for round in 0..8 {
                    let ways = [Way::Dma, Way::Pio];
                    let way = |at: u64| ways[(at % 2) as usize];
                    let sectors = 1 + (number * 5 + round * 3) % 24;
                    let bytes = pattern((number * 100 + round) as u32, sectors as usize * SECTOR);
                    let sector = 10_000 + 100 * number + round;
                    way(number + round).put(task, &disk, sector, &bytes);
                    thread::yield_now(task);
                    let found = way(number / 2 + round).get(task, &disk, sector, bytes.len());
                    assert!(found == bytes, "thread {number} round {round}");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join(task));
    assert_eq!(disk.stats().resets, 0, "nobody had to wait too long, with {} CPUs", smp::count());
}

/// QEMU does not mind a descriptor that goes over a multiple of 64 KiB. A PIIX3 does: it goes on where those 64 KiB begin.
fn descriptors_keep_to_their_rules(_: &mut Task<'_>, _: &Disk) {
    const LAST: u32 = 1 << 31;
    const K64: usize = 1 << 16;
    let lists = [
        vec![(0x1000, 512)],
        vec![(0x1_0000, K64)],
        vec![(0x1_0000, 2 * K64)],
        vec![(0x1_fffe, K64)],
        vec![(0xfffe, 2 * K64)],
        vec![(0x1_fffe, 4), (0x2_0002, 506), (0x3_0000, 2)],
        vec![((1 << 32) - 512, 512)],
        vec![(0x5000, 0), (0x1000, 512), (0x6000, 0)],
    ];
    for list in lists {
        let descriptors = Descriptors::of(&At(list.clone())).expect("these are in order");
        let words = descriptors.words();
        let mut found = Vec::new();
        for (at, &[address, word]) in words.iter().enumerate() {
            assert_eq!(word & LAST != 0, at + 1 == words.len(), "the mark of the last: {words:x?}");
            assert_eq!(word & !LAST & !0xfffe, 0, "bits that have to be 0: {words:x?}");
            let len = if word & 0xfffe == 0 { K64 } else { (word & 0xfffe) as usize };
            assert!(address as usize % K64 + len <= K64, "over a boundary: {words:x?}");
            found.extend((0..len).step_by(2).map(|byte| u64::from(address) + byte as u64));
        }
        let expected = list.iter().flat_map(|&(start, len)| (start..start + len as u64).step_by(2));
        assert!(expected.eq(found), "{list:x?}: {words:x?}");
    }
}

fn memory_that_does_not_fit_is_refused(task: &mut Task<'_>, disk: &Disk) {
    const TOP: u64 = 1 << 32;
    let begun = disk.stats().interrupts;
    let many = |count: usize| (0..count).map(|at| (at as u64 * 4096, 2)).collect();
    let lists = [
        (vec![(TOP, 512)], Error::OutOfReach(TOP)),
        (vec![(4096, 512), (TOP - 512, 514)], Error::OutOfReach(TOP - 512)),
        (vec![(u64::MAX - 1, 512)], Error::OutOfReach(u64::MAX - 1)),
        (vec![(4097, 512)], Error::Unaligned(4097)),
        (vec![(4096, 511), (8192, 1)], Error::Unaligned(4096)),
        (vec![(4096, 510)], Error::Length),
        (vec![], Error::Length),
        (vec![(4096, 256 * 512), (4096, 512)], Error::Length),
        (many(513), Error::TooManySegments),
    ];
    for (list, error) in lists {
        let refused = disk.read_dma(task, 0, At(list.clone())).err().expect("it is refused");
        assert_eq!((refused.error, refused.memory.0), (error, list));
    }
    if Zone::Above4G.is_reachable() {
        let frame = frames::alloc(Zone::Above4G).expect("a frame");
        let address = frame.pfn().number() as u64 * PAGE as u64;
        let refused = disk.write_dma(task, 0, vec![Segment::whole(frame)]).err().expect("it is refused");
        assert_eq!(refused.error, Error::OutOfReach(address));
    }
    for sector in [(1 << 28) - 7, 1 << 28, u64::MAX - 7] {
        let frame = || vec![Segment::whole(frames::alloc(REACHED).expect("a frame"))];
        assert_eq!(disk.write_dma(task, sector, frame()).err().map(|refused| refused.error), Some(Error::SectorNumber));
        assert_eq!(disk.read_pio(task, sector, frame()).err().map(|refused| refused.error), Some(Error::SectorNumber));
    }
    let part = segment(Run::new(far(), 1), 0, 100);
    assert_eq!(disk.write_pio(task, 0, part).err().map(|refused| refused.error), Some(Error::Length));
    let long = segment(Run::new(far(), LARGE), 0, 257 * SECTOR);
    assert_eq!(disk.read_pio(task, 0, long).err().map(|refused| refused.error), Some(Error::Length));
    assert_eq!(disk.stats().interrupts, begun, "the device was asked");
}

/// A request that has to fail at the device, by the way and in the direction; why it failed.
#[track_caller]
fn failure(task: &mut Task<'_>, disk: &Disk, way: Way, write: bool, sector: u64, bytes: &[u8]) -> Error {
    let memory = segment(Run::of(task, way.zone(), bytes), 0, bytes.len());
    let first = memory[0].run().first();
    let begun = if write { way.write(task, disk, sector, memory) } else { way.read(task, disk, sector, memory) };
    let failure = begun.expect("it begins").wait(task).expect_err("it fails");
    assert_eq!(failure.memory[0].run().first(), first, "the memory that comes back is another");
    failure.error
}

const ALL: [(Way, bool); 4] = [(Way::Dma, false), (Way::Dma, true), (Way::Pio, false), (Way::Pio, true)];

/// Writes and reads, by the other way than one that has failed.
#[track_caller]
fn works(task: &mut Task<'_>, disk: &Disk, seed: u32) {
    for way in [Way::Dma, Way::Pio] {
        let bytes = pattern(seed, 3 * SECTOR);
        way.put(task, disk, 300, &bytes);
        assert!(way.get(task, disk, 300, bytes.len()) == bytes, "{way:?}");
    }
}

fn a_sector_past_the_end_is_an_error(task: &mut Task<'_>, disk: &Disk) {
    for (way, write) in ALL {
        for sector in [disk.sectors(), disk.sectors() + 1000] {
            let error = failure(task, disk, way, write, sector, &pattern(7, SECTOR));
            let Error::Ide { status, error } = error else { panic!("{way:?}: {error}") };
            assert!(status.contains(Status::ERROR) && !status.contains(Status::BUSY), "{way:?}: {status:?}");
            assert!(error.intersects(DeviceError::ABORTED | DeviceError::NO_SECTOR), "{way:?}: {error:?}");
            works(task, disk, 8);
        }
        let last = disk.sectors() - 1;
        let error = failure(task, disk, way, write, last, &pattern(7, 2 * SECTOR));
        assert!(matches!(error, Error::Ide { .. }), "{way:?}: {error}");
        works(task, disk, 9);
    }
    assert_eq!(disk.stats().resets, 0);
}

fn a_transfer_that_ends_short_is_an_error(task: &mut Task<'_>, disk: &Disk) {
    for (way, write) in [(Way::Dma, false), (Way::Dma, true), (Way::Pio, true)] {
        disk.break_next(Fault::EndsShort);
        assert_eq!(failure(task, disk, way, write, 400, &pattern(10, 4 * SECTOR)), Error::Short, "{way:?}");
        works(task, disk, 11);
    }
    assert_eq!(disk.stats().resets, 0);
}

fn a_lost_interrupt_ends_in_a_reset(task: &mut Task<'_>, disk: &Disk) {
    for (way, write) in ALL {
        let (before, start) = (disk.stats(), timer::uptime());
        disk.set_limit(SHORT);
        disk.break_next(Fault::NoInterrupt);
        let error = failure(task, disk, way, write, 500, &pattern(12, 4 * SECTOR));
        assert_eq!(error, Error::TimedOut, "{way:?}");
        disk.set_limit(LONG);
        assert!(timer::uptime() - start >= SHORT, "it was given up too early");
        assert_eq!(disk.stats().resets, before.resets + 1);
        works(task, disk, 13);
        assert_eq!(disk.stats().resets, before.resets + 1, "one reset is enough");
    }
}

fn a_request_left_alone_keeps_its_memory(task: &mut Task<'_>, disk: &Disk) {
    // One that ends: its interrupt gives the memory back.
    let before = free();
    let frame = || frames::alloc(REACHED).expect("a frame");
    drop(disk.read_dma(task, 0, vec![Segment::whole(frame())]).expect("it begins"));
    works(task, disk, 14);
    assert_eq!(free(), before);

    // One that does not: it has its memory, until whoever wants the disk next has the controller reset.
    disk.set_limit(SHORT);
    let resets = disk.stats().resets;
    disk.break_next(Fault::NoInterrupt);
    drop(disk.read_dma(task, 0, vec![Segment::whole(frame())]).expect("it begins"));
    disk.set_limit(LONG);
    thread::sleep(task, SHORT / 2);
    let taken: usize = before.iter().sum::<usize>() - free().iter().sum::<usize>();
    assert_eq!((taken, disk.stats().resets), (1, resets));
    works(task, disk, 15);
    assert_eq!((free(), disk.stats().resets), (before, resets + 1));

    // One whose end nobody has waited for keeps it for who does.
    let pending = disk.read_dma(task, 0, vec![Segment::whole(frame())]).expect("it begins");
    works(task, disk, 16);
    drop(pending.wait(task).expect("it has ended long ago"));
    assert_eq!(free(), before);
}
