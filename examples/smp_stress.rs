//! All CPUs map the same few hundred frames, in task, softirq and interrupt at once, one inside the other. Each frame says which one it
//! is, each mapping is looked at twice, and each slot must be one of the CPU that uses it.

#![no_std]
#![no_main]

use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};

use highmem::typenum::Unsigned;
use highmem::{KmType, PAGE_SIZE, Page, PageBytes, kmap_atomic, linux};
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{self, HardIrq, Slot, Softirq, Task};
use kernel::{cpu, paging, println, report, smp, softirq, timer};

kernel::main!(smp_stress);

/// Mappings in all, over all CPUs and contexts.
const WANTED: u64 = 1_000_000;

/// Frames, over all zones.
const FRAMES: usize = 384;

/// Interrupts a second on the first CPU, and the clocks between two on the others.
const RATE: u32 = 10_000;
const CLOCKS: u32 = 50_000;

/// A frame says in each line of so many bytes who it is.
const LINE: usize = 512;

/// Each frame, or `None` if it is not there; whoever holds the lock may borrow the frame exclusively.
static SHARED: [spin::Mutex<Option<Frame>>; FRAMES] = [const { spin::Mutex::new(None) }; _];

/// Where a mapping is made.
#[derive(Clone, Copy)]
enum Context {
    Task,
    Softirq,
    Interrupt,
}

/// What one CPU counts.
struct Counts {
    /// The state of its random numbers.
    random: AtomicU32,
    /// Mappings that it holds now, and the most that it has held.
    held: AtomicUsize,
    deepest: AtomicUsize,
    /// Mappings that it has made, by [`Context`].
    mappings: [AtomicU64; 3],
    /// Interrupts, and those that came while slots were held.
    interrupts: AtomicU64,
    hits: AtomicU64,
}

static COUNTS: [Counts; cpu::MAX] = [const {
    Counts {
        random: AtomicU32::new(0),
        held: AtomicUsize::new(0),
        deepest: AtomicUsize::new(0),
        mappings: [const { AtomicU64::new(0) }; 3],
        interrupts: AtomicU64::new(0),
        hits: AtomicU64::new(0),
    }
}; _];

/// Mappings in all, and those that showed something else than they should.
static TOTAL: AtomicU64 = AtomicU64::new(0);
static MISMATCHES: AtomicU64 = AtomicU64::new(0);

/// CPUs that have begun.
static READY: AtomicUsize = AtomicUsize::new(0);

fn smp_stress(task: &mut Task<'_>) {
    let zones = Zone::ALL.into_iter().filter(|zone| zone.is_reachable());
    for (shared, zone) in SHARED.iter().zip(zones.cycle()) {
        let mut frame = frames::alloc(zone).unwrap_or_else(|| panic!("no frame free in zone {zone}"));
        let pfn = frame.pfn().number();
        sign(&mut kmap_atomic(task.atomic().slots().user0, &mut frame), pfn, 0);
        *shared.lock() = Some(frame);
    }
    report::left_out();
    println!("CPUs: {}, frames: {FRAMES}", smp::count());

    for (cpu, counts) in COUNTS.iter().enumerate() {
        counts.random.store(cpu as u32 + 1, Relaxed);
    }
    softirq::set_handler(bottom_half);
    timer::set_handler(tick);
    timer::set_rate(RATE);
    smp::run_on_all(task, stress);
    timer::set_rate(timer::DEFAULT_RATE);
    timer::clear_handler();

    println!("CPU     task  softirq  interrupt  deepest  interrupts  while slots were held");
    for (cpu, counts) in COUNTS[..smp::count()].iter().enumerate() {
        let [task, softirq, interrupt] = counts.mappings.each_ref().map(|count| count.load(Relaxed));
        let [interrupts, hits] = [&counts.interrupts, &counts.hits].map(|count| count.load(Relaxed));
        let deepest = counts.deepest.load(Relaxed);
        println!("{cpu:3} {task:8} {softirq:8} {interrupt:10} {deepest:8} {interrupts:11} {hits:22}");
        assert!(softirq > 0 && interrupt > 0 && hits > 0, "CPU {cpu} was not interrupted");
    }
    let (total, mismatches) = (TOTAL.load(Relaxed), MISMATCHES.load(Relaxed));
    println!("{total} mappings, {mismatches} mismatches");
    assert_eq!(mismatches, 0, "somebody saw what is not his");
}

/// What each CPU does as its task: mappings, from one to four deep.
fn stress(task: &mut Task<'_>, cpu: usize) {
    READY.fetch_add(1, SeqCst);
    let all = (0..1 << 28).inspect(|_| core::hint::spin_loop()).any(|_: u32| READY.load(SeqCst) == smp::count());
    assert!(all, "a CPU did not come");

    timer::start_local(CLOCKS);
    let share = WANTED / smp::count() as u64;
    while COUNTS[cpu].mappings.iter().map(|count| count.load(Relaxed)).sum::<u64>() < share {
        let depth = random() % 4;
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        with_frame(Context::Task, slots.user0, || {
            if depth == 0 {
                return;
            }
            with_frame(Context::Task, slots.user1, || {
                if depth == 1 {
                    return;
                }
                let mut bh_off = slots.deeper.bh_off();
                let mut slots = bh_off.slots();
                with_frame(Context::Task, slots.softirq0, || {
                    if depth == 2 {
                        return;
                    }
                    let mut irqs_off = slots.deeper.irqs_off();
                    with_frame(Context::Task, irqs_off.slots().irq0, || ());
                });
            });
        });
    }
    timer::stop_local();
}

fn tick(irq: &mut HardIrq<'_>) {
    let counts = &COUNTS[cpu::number()];
    counts.interrupts.fetch_add(1, Relaxed);
    if counts.held.load(Relaxed) > 0 {
        counts.hits.fetch_add(1, Relaxed);
    }
    softirq::raise();
    let slots = irq.slots();
    with_frame(Context::Interrupt, slots.irq0, || with_frame(Context::Interrupt, slots.irq1, || ()));
}

fn bottom_half(softirq: &mut Softirq<'_>) {
    let mut slots = softirq.slots();
    with_frame(Context::Softirq, slots.softirq0, || {
        with_frame(Context::Softirq, slots.softirq1, || {
            let mut irqs_off = slots.deeper.irqs_off();
            with_frame(Context::Softirq, irqs_off.slots().irq1, || ());
        });
    });
}

/// Maps a frame that nobody has, to read or to write, and runs `f` while it is mapped.
fn with_frame<S: KmType<Set = linux::Set>>(context: Context, slot: Slot<'_, S>, f: impl FnOnce()) {
    const TRIES: u32 = 1_000;
    let free = |_| SHARED[random() as usize % FRAMES].try_lock();
    let mut shared = (0..TRIES).find_map(free).expect("few of the frames are in use at a time");
    let frame = shared.as_mut().expect("all frames are there");

    let counts = &COUNTS[cpu::number()];
    counts.mappings[context as usize].fetch_add(1, Relaxed);
    counts.deepest.fetch_max(counts.held.fetch_add(1, Relaxed) + 1, Relaxed);
    let number = TOTAL.fetch_add(1, Relaxed);
    let pfn = frame.pfn().number();
    if random().is_multiple_of(2) {
        let mut mapped = kmap_atomic(slot, frame);
        check::<S>(mapped.address(), &mapped, pfn, None);
        sign(&mut mapped, pfn, number as u32);
        f();
        check::<S>(mapped.address(), &mapped, pfn, Some(number as u32));
    } else {
        let mapped = kmap_atomic(slot, &*frame);
        let stamp = check::<S>(mapped.address(), &mapped, pfn, None);
        f();
        check::<S>(mapped.address(), &mapped, pfn, Some(stamp));
    }
    counts.held.fetch_sub(1, Relaxed);
}

/// Writes into each line which frame this is, and `stamp`.
fn sign(bytes: &mut PageBytes, pfn: usize, stamp: u32) {
    for line in bytes.chunks_exact_mut(LINE) {
        line[..4].copy_from_slice(&(pfn as u32).to_le_bytes());
        line[LINE - 4..].copy_from_slice(&stamp.to_le_bytes());
    }
}

/// Counts a mismatch if a line says that this is another frame, if the lines do not have one stamp, or if the address is not that of
/// this CPU's slot; a frame of lowmem may be where it always is. Gives the stamp.
fn check<S: KmType<Set = linux::Set>>(address: usize, bytes: &PageBytes, pfn: usize, expected: Option<u32>) -> u32 {
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let stamp = word(LINE - 4);
    let mut right = expected.is_none_or(|expected| expected == stamp);
    for line in (0..PAGE_SIZE).step_by(LINE) {
        right &= word(line) == pfn as u32 && word(line + LINE - 4) == stamp;
    }
    let slot = kmap::slots().nth(S::Index::USIZE).map(|(_, address)| address);
    right &= slot == Some(address) || paging::phys_to_virt((pfn * PAGE_SIZE) as u64) == Some(address);
    if !right {
        MISMATCHES.fetch_add(1, Relaxed);
    }
    stamp
}

/// The next of this CPU's random numbers (xorshift). Interrupts may repeat one.
fn random() -> u32 {
    let state = &COUNTS[cpu::number()].random;
    let mut number = state.load(Relaxed);
    number ^= number << 13;
    number ^= number >> 17;
    number ^= number << 5;
    state.store(number, Relaxed);
    number
}
