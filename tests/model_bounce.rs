//! Bounce buffers on the model: what a device sees, and what comes back, is what plain arrays say; and pages of the reserve are one
//! request's at a time, whoever comes in between.

mod model;

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use highmem::bounce::{Direction, Extent, Reach, Reserve, Segments, Submitted};
use highmem::linux::Set;
use highmem::model::{Config, Cpu, Machine, ModelKernel, Schedules, SharedFrame, SharedFrameRun, Zone};
use highmem::ops::Segment;
use highmem::paging::Paging;
use highmem::{HardIrq, PAGE_SIZE, PageRun, Pfn, Task, debug};
use model::in_each_mode;
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner};

type K<P> = ModelKernel<P>;
type Model<P> = Machine<P, Set>;
type Low<P, const PAGES: usize> = Reserve<K<P>, SharedFrame<P>, PAGES>;
type Parts<P> = Segments<SharedFrameRun<P>, PARTS>;
type Request<'r, P, const PAGES: usize> = Submitted<'r, K<P>, SharedFrameRun<P>, SharedFrame<P>, PAGES, PARTS>;

/// How many parts of pages a request has at the most: four segments of up to three pages.
const PARTS: usize = 12;

/// How long one who waits may take to go on.
const PATIENCE: Duration = Duration::from_secs(3);

/// Frames 0 to 255 are lowmem, and all that a device reaches with 20 bits.
const LOWMEM_BITS: u32 = 20;

in_each_mode!(
    bytes_are_those_of_plain_arrays,
    handlers_come_at_each_step_of_a_write,
    handlers_come_at_each_step_of_a_copy_back,
    two_cpus_share_a_page_in_all_orders,
    three_cpus_share_two_pages_in_random_orders,
    cpus_that_run_freely_share_two_pages,
    two_who_wait_go_on_with_the_pages_of_one,
);

fn machine<P: Paging>(cpus: usize) -> Model<P> {
    Model::with(Config { cpus, memory: 4 << 20, lowmem: 1 << LOWMEM_BITS, ..Config::default() })
}

/// A reserve that is full, of pages with bytes of somebody else's.
fn reserve<P: Paging, const PAGES: usize>(machine: &Model<P>, bits: u32) -> Low<P, PAGES> {
    let reserve = Reserve::new(Reach::of_bits(bits).expect("a device has so many bits"));
    for _ in 0..PAGES {
        let page = machine.alloc(Zone::Low).share();
        machine.poke(highmem::Page::pfn(&page), 0, &[0xee; PAGE_SIZE]);
        reserve.add(page).expect("the device and the direct map have it");
    }
    reserve
}

fn pages<P: Paging>(machine: &Model<P>, count: usize) -> SharedFrameRun<P> {
    machine.alloc_run(Zone::High, NonZero::new(count).expect("there is a page")).share()
}

fn pfn<P: Paging>(address: u64) -> Pfn<P> {
    Pfn::containing(address).expect("the machine has this frame")
}

/// What the device reads.
fn device_reads<P: Paging>(machine: &Model<P>, extents: impl Iterator<Item = Extent>) -> Vec<u8> {
    let bytes = extents.flat_map(|Extent { address, len }| {
        let offset = address as usize % PAGE_SIZE;
        machine.peek(pfn(address))[offset..offset + len].to_vec()
    });
    bytes.collect()
}

/// The device writes these bytes, as far as there is room.
fn device_writes<P: Paging>(machine: &Model<P>, extents: impl Iterator<Item = Extent>, mut bytes: &[u8]) {
    for Extent { address, len } in extents {
        let (now, later) = bytes.split_at(len.min(bytes.len()));
        machine.poke(pfn(address), address as usize % PAGE_SIZE, now);
        bytes = later;
    }
}

/// What is in the pages of a run.
fn bytes_of<P: Paging>(machine: &Model<P>, run: &SharedFrameRun<P>) -> Vec<u8> {
    let first = run.first().number() as u64;
    (first..first + run.pages().get() as u64).flat_map(|number| machine.peek(Pfn::new(number).unwrap())).collect()
}

fn fill<P: Paging>(machine: &Model<P>, run: &SharedFrameRun<P>, bytes: &[u8]) {
    let extents = (0..run.pages().get() as u64)
        .map(|number| Extent { address: run.first().address() + number * PAGE_SIZE as u64, len: PAGE_SIZE });
    device_writes(machine, extents, bytes);
}

fn whole<P: Paging>(run: SharedFrameRun<P>) -> Parts<P> {
    let mut segments = Segments::new();
    segments.push(Segment::whole(run)).expect("there is room");
    segments
}

/// The handler of the device's interrupt, on this CPU: the device is done.
fn complete<P: Paging, const PAGES: usize>(
    cpu: Cpu<'_, P, Set, false>,
    request: Request<'_, P, PAGES>,
    outcome: Result<usize, &'static str>,
) -> (Parts<P>, Result<usize, &'static str>) {
    cpu.interrupt_now(|irq| {
        // SAFETY: the device is a function of this test, and has returned.
        let done = unsafe { request.complete(irq.slots().bounce_read, outcome) };
        (done.segments, done.result)
    })
}

fn write<'r, P: Paging, const PAGES: usize>(
    task: &mut Task<'_, K<P>>,
    reserve: &'r Low<P, PAGES>,
    segments: Parts<P>,
) -> Request<'r, P, PAGES> {
    reserve.write(task, segments, |atomic| atomic.slots().user0).expect("nobody gives up").0.submit()
}

fn read<'r, P: Paging, const PAGES: usize>(
    task: &mut Task<'_, K<P>>,
    reserve: &'r Low<P, PAGES>,
    segments: Parts<P>,
) -> Request<'r, P, PAGES> {
    reserve.read(task, segments).expect("nobody gives up").0.submit()
}

/// All pages are back, no slot is in use, and nothing went wrong.
fn check<P: Paging, const PAGES: usize>(machine: &Model<P>, reserve: &Low<P, PAGES>) {
    let stats = reserve.stats();
    assert_eq!((stats.pages, stats.free, stats.lost), (PAGES, PAGES, 0), "a page did not come back");
    assert_eq!(debug::mappings::<K<P>>().count(), 0, "a slot is not empty");
    assert_eq!((machine.faults(), machine.stale()), (vec![], vec![]));
}

/// A transfer: its segments (pages of the run, where it begins, how long it is), and how it ends.
#[derive(Clone, Debug)]
struct Transfer {
    direction: Direction,
    bits: u32,
    /// So many frames lie between the first run and the end of memory.
    before: usize,
    segments: Vec<(usize, usize, usize)>,
    outcome: Result<usize, &'static str>,
    seed: u8,
}

fn a_transfer() -> impl Strategy<Value = Transfer> {
    let segment = (1_usize..=3, 0_usize..PAGE_SIZE * 3, 0_usize..PAGE_SIZE * 3).prop_map(|(pages, offset, len)| {
        let offset = offset % (pages * PAGE_SIZE);
        (pages, offset, len.min(pages * PAGE_SIZE - offset))
    });
    let outcome = prop_oneof![
        Just(Ok(usize::MAX)),
        (0_usize..PAGE_SIZE * 9).prop_map(Ok),
        (0_usize..PAGE_SIZE).prop_map(Ok),
        Just(Err("the disk is broken"))
    ];
    let direction = prop_oneof![Just(Direction::Write), Just(Direction::Read)];
    // The runs lie around the end of 2 MiB, which is what a device reaches with 21 bits.
    let parts = (direction, LOWMEM_BITS..=22, 501_usize..=513, proptest::collection::vec(segment, 1..=4), outcome);
    (parts, any::<u8>()).prop_map(|((direction, bits, before, segments, outcome), seed)| Transfer {
        direction,
        bits,
        before,
        segments,
        outcome,
        seed,
    })
}

/// Bytes that are others each time.
fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 ^ (at >> 8) as u8 ^ seed).collect()
}

impl Transfer {
    fn run<P: Paging>(&self, machine: &Model<P>) {
        let cpu = machine.cpu(0);
        let reserve = reserve::<P, PARTS>(machine, self.bits);
        let reach = |address: u64| address >> self.bits == 0;
        let filler = pages(machine, self.before);
        let mut segments = Segments::new();
        // The plain arrays: what each run has, and which bytes of it are the transfer's, with their addresses.
        let mut arrays: Vec<Vec<u8>> = Vec::new();
        let mut places: Vec<(usize, usize, u64)> = Vec::new();
        for (number, &(count, offset, len)) in self.segments.iter().enumerate() {
            let run = pages(machine, count);
            let array = pattern(self.seed.wrapping_add(number as u8 * 50 + 1), count * PAGE_SIZE);
            fill(machine, &run, &array);
            places.extend((offset..offset + len).map(|at| (number, at, run.first().address() + at as u64)));
            arrays.push(array);
            segments.push(Segment::new(run, offset, len).expect("it is within the run")).expect("there is room");
        }

        let frames_of = |wanted: bool| {
            let mut frames: Vec<_> = places
                .iter()
                .filter(|place| reach(place.2) == wanted)
                .map(|&(number, at, _)| (number, at / PAGE_SIZE))
                .collect();
            frames.dedup();
            frames.len()
        };
        let request = cpu.task(|task| match self.direction {
            Direction::Write => write(task, &reserve, segments),
            Direction::Read => read(task, &reserve, segments),
        });
        let stats = reserve.stats();
        assert_eq!((stats.bounced, stats.passed), (frames_of(false) as u64, frames_of(true) as u64));
        assert_eq!(stats.free, PARTS - frames_of(false), "one page for each part that is bounced");
        assert_eq!(request.direction(), Some(self.direction));
        for (extent, direct) in request.extents().zip(extents_of(&places)) {
            assert!(reach(extent.address + extent.len as u64 - 1), "the device does not reach {extent:x?}");
            assert_eq!(extent.len, direct.len);
            if reach(direct.address) {
                assert_eq!(extent, direct, "what is within reach passes through");
            } else {
                assert_eq!(extent.address % PAGE_SIZE as u64, direct.address % PAGE_SIZE as u64);
                assert_ne!(extent.address, direct.address);
            }
        }

        match self.direction {
            Direction::Write => {
                let expected: Vec<u8> = places.iter().map(|&(number, at, _)| arrays[number][at]).collect();
                assert!(device_reads(machine, request.extents()) == expected, "the device gets other bytes");
            }
            Direction::Read => {
                // It writes all, whatever it says then.
                let data = pattern(!self.seed, places.len());
                device_writes(machine, request.extents(), &data);
                let came = self.outcome.unwrap_or(0);
                for (count, (&(number, at, address), byte)) in places.iter().zip(data).enumerate() {
                    if reach(address) || count < came {
                        arrays[number][at] = byte;
                    }
                }
            }
        }
        let (segments, result) = complete(cpu, request, self.outcome);
        assert_eq!(result, self.outcome.map(|came| came.min(places.len())));
        for (segment, array) in segments.iter().zip(&arrays) {
            assert!(bytes_of(machine, segment.run()) == *array, "another run has other bytes");
        }
        assert_eq!(segments.into_iter().count(), self.segments.len());
        check(machine, &reserve);
        drop(filler);
    }
}

/// The parts of pages that these bytes make up.
fn extents_of(places: &[(usize, usize, u64)]) -> Vec<Extent> {
    let mut extents: Vec<Extent> = Vec::new();
    let mut last = None;
    for &(number, at, address) in places {
        match extents.last_mut() {
            Some(extent) if last == Some((number, at / PAGE_SIZE)) => extent.len += 1,
            _ => extents.push(Extent { address, len: 1 }),
        }
        last = Some((number, at / PAGE_SIZE));
    }
    extents
}

/// The same transfers each time.
fn bytes_are_those_of_plain_arrays<P: Paging>() {
    let runs = Runs { cases: 300, failure_persistence: None, ..Runs::default() };
    let mut runner = TestRunner::new_with_rng(runs, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let run = |transfer: Transfer| {
        // A new one, so that frames are where they are to be.
        transfer.run(&machine::<P>(1));
        Ok(())
    };
    runner.run(&a_transfer(), run).unwrap_or_else(|error| panic!("{error}"));
}

/// Writes `byte` to a page of a disk that is a variable, and reads it back into the same page.
fn out_and_in<P: Paging, const PAGES: usize>(
    machine: &Model<P>,
    cpu: Cpu<'_, P, Set, false>,
    task: &mut Task<'_, K<P>>,
    reserve: &Low<P, PAGES>,
    run: SharedFrameRun<P>,
    byte: u8,
) -> SharedFrameRun<P> {
    let size = run.size();
    fill(machine, &run, &vec![byte; size]);
    let request = write(task, reserve, whole(run));
    let disk = device_reads(machine, request.extents());
    assert!(disk == vec![byte; size], "another page went to the disk");
    let (segments, _) = complete(cpu, request, Ok(size));
    let run = segments.into_iter().next().expect("the segment comes back").into_run();
    fill(machine, &run, &vec![!byte; size]);
    let request = read(task, reserve, whole(run));
    device_writes(machine, request.extents(), &disk);
    let (segments, result) = complete(cpu, request, Ok(size - 1));
    assert_eq!(result, Ok(size - 1));
    let run = segments.into_iter().next().expect("the segment comes back").into_run();
    let bytes = bytes_of(machine, &run);
    assert!(bytes[..size - 1] == disk[1..] && bytes[size - 1] == !byte, "another page came from the disk");
    run
}

/// A whole transfer of a page, in a handler and its slots.
fn read_in_handler<P: Paging, const PAGES: usize>(
    machine: &Model<P>,
    irq: &mut HardIrq<'_, K<P>>,
    reserve: &Low<P, PAGES>,
    pages: SharedFrameRun<P>,
) -> SharedFrameRun<P> {
    let request = reserve.try_read(irq.slots().irq0, whole(pages)).expect("one page is left").submit();
    device_writes(machine, request.extents(), &[0x77; PAGE_SIZE]);
    // SAFETY: the device is done.
    let done = unsafe { request.complete::<_, ()>(irq.slots().bounce_read, Ok(PAGE_SIZE)) };
    let pages = done.segments.into_iter().next().expect("it comes back").into_run();
    assert!(bytes_of(machine, &pages) == [0x77; PAGE_SIZE]);
    pages
}

fn handlers_come_at_each_step_of_a_write<P: Paging>() {
    let machine = machine::<P>(1);
    let reserve = reserve::<P, 2>(&machine, LOWMEM_BITS);
    let (run, own) = (pages(&machine, 1), pages(&machine, 1));
    fill(&machine, &run, &[0x5a; PAGE_SIZE]);
    let (mut run, mut own) = (Some(run), Some(own));
    let cpu = machine.cpu(0);
    cpu.task(|task| {
        let times = cpu.interrupt_everywhere(
            |irq| {
                let pages = own.take().expect("it came back");
                own = Some(read_in_handler(&machine, irq, &reserve, pages));
            },
            || {
                let request = write(task, &reserve, whole(run.take().expect("it came back")));
                assert!(device_reads(&machine, request.extents()) == [0x5a; PAGE_SIZE], "the handler was in between");
                let mut atomic = task.atomic();
                // SAFETY: the device is done.
                let done = unsafe { request.complete::<_, ()>(atomic.irqs_off().slots().irq1, Ok(PAGE_SIZE)) };
                run = done.segments.into_iter().next().map(Segment::into_run);
            },
        );
        assert!(times > 10, "{times}");
    });
    check(&machine, &reserve);
}

fn handlers_come_at_each_step_of_a_copy_back<P: Paging>() {
    let machine = machine::<P>(1);
    let reserve = reserve::<P, 3>(&machine, LOWMEM_BITS);
    let (mut run, mut own) = (Some(pages(&machine, 2)), Some(pages(&machine, 1)));
    let cpu = machine.cpu(0);
    cpu.task(|task| {
        let mut operation = |byte: u8| {
            let request = read(task, &reserve, whole(run.take().expect("it came back")));
            device_writes(&machine, request.extents(), &[byte; 2 * PAGE_SIZE]);
            let mut atomic = task.atomic();
            // SAFETY: the device is done.
            let done = unsafe { request.complete::<_, ()>(atomic.irqs_off().slots().bounce_read, Ok(2 * PAGE_SIZE)) };
            drop(atomic);
            let pages = done.segments.into_iter().next().expect("it comes back").into_run();
            assert!(bytes_of(&machine, &pages) == [byte; 2 * PAGE_SIZE], "the handler was in between");
            run = Some(pages);
        };
        let irqs = cpu.interrupt_everywhere(
            |irq| {
                let pages = own.take().expect("it came back");
                own = Some(read_in_handler(&machine, irq, &reserve, pages));
            },
            || operation(1),
        );
        // One slot at a time, also under the copy.
        let nmis = cpu.nmi_everywhere(|_| assert!(debug::mappings::<K<P>>().count() <= 1), || operation(2));
        assert!(irqs > 10 && nmis > 10, "{irqs} {nmis}");
    });
    check(&machine, &reserve);
}

/// Each CPU takes its pages and gives them back, one order of their steps after the other.
fn share<P: Paging, const PAGES: usize>(schedules: Schedules, cpus: usize, most: usize) {
    let machine = machine::<P>(cpus);
    let reserve = reserve::<P, PAGES>(&machine, LOWMEM_BITS);
    let runs = machine.interleave(
        schedules,
        cpus,
        |cpu| {
            let number = cpu.number();
            let run = pages(&machine, 1 + number % most);
            cpu.task(|task| out_and_in(&machine, cpu, task, &reserve, run, 0x11 * (number as u8 + 1)));
        },
        || check(&machine, &reserve),
    );
    assert!(runs > 50, "{runs}");
    assert!(reserve.stats().sleeps > 0 && reserve.stats().low_water == 0);
}

fn two_cpus_share_a_page_in_all_orders<P: Paging>() {
    share::<P, 1>(Schedules::exhaustive(1), 2, 1);
}

fn three_cpus_share_two_pages_in_random_orders<P: Paging>() {
    share::<P, 2>(Schedules::random(7, 150), 3, 2);
}

fn cpus_that_run_freely_share_two_pages<P: Paging>() {
    let machine = machine::<P>(4);
    let reserve = reserve::<P, 2>(&machine, LOWMEM_BITS);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (machine, reserve) = (&machine, &reserve);
            scope.spawn(move || {
                let cpu = machine.cpu(number);
                let run = pages(machine, 1 + number % 2);
                cpu.task(|task| {
                    let round = |run, round: u8| out_and_in(machine, cpu, task, reserve, run, round * 4 + number as u8);
                    (0..20).fold(run, round);
                });
            });
        }
    });
    check(&machine, &reserve);
}

/// Pages that come back at once are for more than the first who waits: it wakes the next, before it gives back any.
fn two_who_wait_go_on_with_the_pages_of_one<P: Paging>() {
    let machine = machine::<P>(3);
    let reserve = reserve::<P, 2>(&machine, LOWMEM_BITS);
    let (first, went_on) = (pages(&machine, 2), AtomicUsize::new(0));
    let cpu = machine.cpu(0);
    let request = cpu.task(|task| read(task, &reserve, whole(first)));
    std::thread::scope(|scope| {
        for number in 1..3 {
            let (machine, reserve, went_on) = (&machine, &reserve, &went_on);
            scope.spawn(move || {
                let (cpu, run) = (machine.cpu(number), pages(machine, 1));
                cpu.task(|task| {
                    let request = read(task, reserve, whole(run));
                    went_on.fetch_add(1, Relaxed);
                    let began = Instant::now();
                    while went_on.load(Relaxed) < 2 && began.elapsed() < PATIENCE {
                        std::thread::yield_now();
                    }
                    let both = went_on.load(Relaxed);
                    assert_eq!(complete(cpu, request, Ok(0)).1, Ok(0));
                    assert_eq!(both, 2, "the next was not woken");
                });
            });
        }
        // Time for both to fall asleep; if they have not, they find what is there.
        std::thread::sleep(PATIENCE / 20);
        assert_eq!(complete(cpu, request, Ok(0)).1, Ok(0));
    });
    check(&machine, &reserve);
}
