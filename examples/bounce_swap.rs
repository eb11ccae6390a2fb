//! Swapping: pages above 4 GiB go to a disk that does not reach them and come back, by a reserve of a few low pages, when nothing else is free.
//!
//! There are eight times as many pages as frames to have them in. Threads want pages in any order, each for reading and writing; who finds
//! none of the frames free has somebody else's pages written out, and takes theirs. No frame of the machine is free while that goes on, in
//! any zone: if the driver had to ask for one, to copy a page through, all would wait for each other.
//!
//! Each byte is looked at when its page comes back, and what must be on the disk at the end is said as a checksum, which whoever runs this
//! compares with the disk's image.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crc::{CRC_64_XZ, Crc, Table};
use highmem::bounce::{Reach, Reserve, Segments};
use highmem::ops::Segment;
use highmem::{PAGE_SIZE, PageBytes, kmap_atomic};
use kernel::disk::{self, Disk, SECTOR};
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{ExampleKernel, HardIrq, Task};
use kernel::sync::IrqLock;
use kernel::wait::WaitQueue;
use kernel::{cpu, println, smp, thread, timer};

kernel::main!(bounce_swap);

const THREADS: u32 = 8;

/// Pages that go to the disk, or come from there, in one request.
const CLUSTER: usize = 4;

/// Clusters in all, and of them those that there are frames for: in zones that the disk does not reach, and that it does.
const CLUSTERS: usize = 2048;
const FAR: usize = 240;
const NEAR: usize = 16;

/// Pages of the reserve: for one request, and a half of another.
const RESERVED: usize = 6;

/// How often a thread wants a cluster.
const ROUNDS: u32 = 1000;

/// Ticks a second, so that interrupts come while slots are held.
const RATE: u32 = 1_000;

/// What the disk reaches. Without PAE there is no memory above 4 GiB, and so the disk is made to reach less.
const REACH: Reach = if Zone::Above4G.is_reachable() {
    Reach::FOUR_GIB
} else {
    match Reach::of_bits(29) {
        Ok(reach) => reach,
        Err(_) => panic!("29 bits are enough"),
    }
};

const FAR_ZONE: Zone = if Zone::Above4G.is_reachable() { Zone::Above4G } else { Zone::High };
const NEAR_ZONE: Zone = if Zone::Above4G.is_reachable() { Zone::High } else { Zone::Low };

static RESERVE: Reserve<ExampleKernel, Frame, RESERVED> = Reserve::new(REACH);

type Pages = Segments<Frame, CLUSTER>;

/// What is known of a cluster.
struct Cluster {
    /// How often it was written: what its bytes are. 0 means never.
    version: u32,
    place: Place,
}

enum Place {
    /// Nowhere, or on the disk.
    Out,
    /// In frames.
    In(Pages),
    /// A thread has it: to use it, or to have it written or read.
    Busy,
}

/// All clusters, the frames that have none, and which have some: who has used his last stands last.
struct Memory {
    clusters: Vec<Cluster>,
    free: Vec<Pages>,
    used: VecDeque<usize>,
}

static MEMORY: IrqLock<Option<Memory>> = IrqLock::new(None);

/// Who waits for a cluster that another thread has, or for frames.
static CHANGED: WaitQueue = WaitQueue::new();

/// How many CPUs hold slots, and how many interrupts have come to those that did.
static HELD: [AtomicU32; cpu::MAX] = [const { AtomicU32::new(0) }; cpu::MAX];
static INTERRUPTED: AtomicU64 = AtomicU64::new(0);

/// What a thread has done.
#[derive(Default)]
struct Counts {
    written: u64,
    read: u64,
    mismatches: u64,
}

fn with<R>(f: impl FnOnce(&mut Memory) -> R) -> R {
    MEMORY.with(|memory| f(memory.as_mut().expect("made at the start")))
}

fn bounce_swap(task: &mut Task<'_>) {
    let disk = Disk::open(task).expect("there is a disk");
    let needed = CLUSTERS * CLUSTER * PAGE_SIZE;
    assert!(disk.sectors() * SECTOR as u64 >= needed as u64, "the disk is too small");
    disk::set_aside(&RESERVE);

    let cluster = |zone| {
        let mut pages = Pages::new();
        for _ in 0..CLUSTER {
            let frame = frames::alloc(zone).expect("a frame: start this with 6 GiB (--mem 6G)");
            pages.push(Segment::whole(frame)).expect("there is room");
        }
        pages
    };
    let mut free: Vec<Pages> = (0..FAR).map(|_| cluster(FAR_ZONE)).collect();
    free.extend((0..NEAR).map(|_| cluster(NEAR_ZONE)));
    let clusters = (0..CLUSTERS).map(|_| Cluster { version: 0, place: Place::Out }).collect();
    MEMORY.with(|memory| *memory = Some(Memory { clusters, free, used: VecDeque::new() }));
    println!("CPUs: {}, threads: {THREADS}, {RESERVED} pages in reserve", smp::count());
    println!("{} pages, and frames for {}", CLUSTERS * CLUSTER, (FAR + NEAR) * CLUSTER);

    // Nobody gets a frame from now on.
    let hoards = Zone::ALL.map(frames::hoard);
    assert!(Zone::ALL.into_iter().all(|zone| frames::alloc(zone).is_none()));
    timer::set_rate(RATE);
    timer::set_handler(tick);

    let start = timer::uptime();
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let disk = disk.clone();
            thread::spawn("user", move |task| user(task, &disk, number))
        })
        .collect();
    let mut sum = Counts::default();
    for thread in threads {
        let Counts { written, read, mismatches } = thread.join(task);
        sum = Counts { written: sum.written + written, read: sum.read + read, mismatches: sum.mismatches + mismatches };
    }
    // What is in frames goes to the disk as well, and all is looked at once more.
    let all = sweep(task, &disk);
    disk.flush(task).expect("it is on the disk");
    let time = timer::uptime() - start;

    timer::clear_handler();
    timer::set_rate(timer::DEFAULT_RATE);
    drop(hoards);

    let stats = RESERVE.stats();
    let Counts { written, read, mismatches } = Counts {
        written: sum.written + all.written,
        read: sum.read + all.read,
        mismatches: sum.mismatches + all.mismatches,
    };
    let interrupted = INTERRUPTED.load(Relaxed);
    println!("pages swapped          {written:8} out, {read} in, {} ms", time.as_millis());
    println!("parts of pages         {:8} bounced, {} passed through", stats.bounced, stats.passed);
    println!("reserve                {:8} pages at the least, of {}", stats.low_water, stats.pages);
    println!("waits for the reserve  {:8}, the longest {} ms", stats.sleeps, stats.longest_wait / 1000);
    println!("interrupts             {:8} while slots were held; {} of the disk", interrupted, disk.stats().interrupts);
    println!("bytes that were wrong  {mismatches:8}");

    assert_eq!(mismatches, 0, "somebody's bytes are wrong");
    assert_eq!(stats.bounced + stats.passed, written + read, "a page went to the disk in another way");
    assert!(stats.bounced > 0 && stats.passed > 0, "all pages went the same way");
    assert!(stats.low_water < CLUSTER && stats.sleeps > 0, "the reserve was enough for all");
    assert_eq!((stats.free, stats.lost), (RESERVED, 0), "pages of the reserve did not come back");
    assert!(interrupted > 0, "no interrupt came while slots were held");
    assert_eq!(disk.stats().resets, 0, "a request took too long");
    println!("disk image: bytes 0..{needed}, CRC-64/XZ {:016x}", expected());
}

fn tick(_: &mut HardIrq<'_>) {
    if HELD[cpu::number()].load(Relaxed) > 0 {
        INTERRUPTED.fetch_add(1, Relaxed);
    }
}

/// Wants clusters, in an order of its own; looks at each, and writes most.
fn user(task: &mut Task<'_>, disk: &Disk, number: u32) -> Counts {
    let mut counts = Counts::default();
    let mut random = number.wrapping_add(1).wrapping_mul(0x9e37_79b9);
    for round in 0..ROUNDS {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let cluster = random as usize % CLUSTERS;
        let (version, mut pages) = bring_in(task, disk, cluster, &mut counts);
        let next = if round % 4 == 3 { version } else { version + 1 };
        if next != version {
            pages = change(task, pages, cluster, next);
        }
        put_back(cluster, next, pages);
    }
    counts
}

/// Takes a cluster, from where it is, and looks at all of its bytes.
fn bring_in(task: &mut Task<'_>, disk: &Disk, cluster: usize, counts: &mut Counts) -> (u32, Pages) {
    let mut found = None;
    CHANGED.wait(task, || {
        found = with(|memory| {
            let Cluster { version, place } = &mut memory.clusters[cluster];
            match core::mem::replace(place, Place::Busy) {
                Place::Busy => None,
                Place::Out => Some((*version, None)),
                Place::In(pages) => {
                    let version = *version;
                    memory.used.retain(|&other| other != cluster);
                    Some((version, Some(pages)))
                }
            }
        });
        found.is_some()
    });
    let (version, pages) = found.expect("it was waited for");
    let pages = match pages {
        Some(pages) => pages,
        None => {
            let frames = make_room(task, disk, counts);
            if version == 0 {
                change(task, frames, cluster, 0)
            } else {
                counts.read += CLUSTER as u64;
                let pending = disk.read(task, &RESERVE, sector(cluster), frames).expect("the disk reads");
                pending.wait(task).expect("the disk has it")
            }
        }
    };
    let (pages, mismatches) = look(task, pages, cluster, version);
    counts.mismatches += mismatches;
    (version, pages)
}

/// Frames for a cluster: free ones, or those of the cluster that was used longest ago.
fn make_room(task: &mut Task<'_>, disk: &Disk, counts: &mut Counts) -> Pages {
    let mut found = None;
    CHANGED.wait(task, || {
        found = with(|memory| {
            if let Some(pages) = memory.free.pop() {
                return Some((pages, None));
            }
            let victim = memory.used.pop_front()?;
            match core::mem::replace(&mut memory.clusters[victim].place, Place::Busy) {
                Place::In(pages) => Some((pages, Some(victim))),
                Place::Out | Place::Busy => unreachable!("what is used is in frames"),
            }
        });
        found.is_some()
    });
    let (pages, victim) = found.expect("it was waited for");
    let Some(victim) = victim else { return pages };
    let pages = write_out(task, disk, victim, pages, counts);
    with(|memory| memory.clusters[victim].place = Place::Out);
    CHANGED.wake_all();
    pages
}

fn write_out(task: &mut Task<'_>, disk: &Disk, cluster: usize, pages: Pages, counts: &mut Counts) -> Pages {
    counts.written += CLUSTER as u64;
    let pending = disk.write(task, &RESERVE, sector(cluster), pages).expect("the disk writes");
    pending.wait(task).expect("the disk has taken it")
}

fn put_back(cluster: usize, version: u32, pages: Pages) {
    with(|memory| {
        memory.clusters[cluster] = Cluster { version, place: Place::In(pages) };
        memory.used.push_back(cluster);
    });
    CHANGED.wake_all();
}

/// Writes out what is in frames, and then reads everything and looks at it.
fn sweep(task: &mut Task<'_>, disk: &Disk) -> Counts {
    let mut counts = Counts::default();
    for cluster in 0..CLUSTERS {
        let place = with(|memory| core::mem::replace(&mut memory.clusters[cluster].place, Place::Out));
        if let Place::In(pages) = place {
            let version = with(|memory| memory.clusters[cluster].version);
            let (mut pages, mismatches) = look(task, pages, cluster, version);
            counts.mismatches += mismatches;
            if version > 0 {
                pages = write_out(task, disk, cluster, pages, &mut counts);
            }
            with(|memory| memory.free.push(pages));
        }
    }
    with(|memory| memory.used.clear());
    for cluster in 0..CLUSTERS {
        let (_, pages) = bring_in(task, disk, cluster, &mut counts);
        with(|memory| {
            memory.clusters[cluster].place = Place::Out;
            memory.free.push(pages);
        });
    }
    counts
}

fn sector(cluster: usize) -> u64 {
    (cluster * CLUSTER * PAGE_SIZE / SECTOR) as u64
}

/// The bytes of a page: those of one that was never written are zero.
fn bytes(cluster: usize, page: usize, version: u32) -> impl Iterator<Item = u8> {
    let seed = (cluster * CLUSTER + page) as u32;
    let mut state = seed.wrapping_mul(0x85eb_ca6b) ^ version.wrapping_mul(0xc2b2_ae35) | 1;
    let words = core::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        if version == 0 { [0; 4] } else { state.to_le_bytes() }
    });
    words.take(PAGE_SIZE / 4).flatten()
}

/// Gives the pages of a cluster, mapped one by one, to `f`.
fn each_page(task: &mut Task<'_>, pages: Pages, mut f: impl FnMut(usize, &mut PageBytes)) -> Pages {
    let mut seen = Pages::new();
    for (number, mut frame) in pages.into_iter().map(Segment::into_run).enumerate() {
        {
            let mut atomic = task.atomic();
            let mut page = kmap_atomic(atomic.slots().user0, &mut frame);
            let held = &HELD[cpu::number()];
            held.fetch_add(1, Relaxed);
            f(number, &mut page);
            held.fetch_sub(1, Relaxed);
        }
        seen.push(Segment::whole(frame)).expect("there is room");
    }
    seen
}

fn change(task: &mut Task<'_>, pages: Pages, cluster: usize, version: u32) -> Pages {
    each_page(task, pages, |number, page| {
        page.iter_mut().zip(bytes(cluster, number, version)).for_each(|(to, byte)| *to = byte);
    })
}

/// How many bytes of a cluster are not what they were.
fn look(task: &mut Task<'_>, pages: Pages, cluster: usize, version: u32) -> (Pages, u64) {
    let mut mismatches = 0;
    let pages = each_page(task, pages, |number, page| {
        let wrong = page.iter().zip(bytes(cluster, number, version)).filter(|(found, byte)| **found != *byte);
        mismatches += wrong.count() as u64;
    });
    (pages, mismatches)
}

/// The checksum of what has to be on the disk.
fn expected() -> u64 {
    static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_XZ);
    let mut digest = CRC.digest();
    for cluster in 0..CLUSTERS {
        let version = with(|memory| memory.clusters[cluster].version);
        for page in 0..CLUSTER {
            let page: Vec<u8> = bytes(cluster, page, version).collect();
            digest.update(&page);
        }
    }
    digest.finalize()
}
