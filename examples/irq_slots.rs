//! The timer interrupt maps pages in `Irq0` and `Irq1` while the task that it interrupts holds `User0` and `User1`. Neither ever
//! sees the other's bytes.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use highmem::{Page, kmap_atomic};
use kernel::frames::{self, Frame};
use kernel::kmap::{HardIrq, Task};
use kernel::sync::IrqLock;
use kernel::{println, report, timer};

kernel::main!(irq_slots);

/// How many interrupts have to come while the task holds both slots.
const WANTED: u32 = 2_000;

/// How often the task looks at its pages before the machine is called broken: an hour's worth.
const PATIENCE: u32 = 100_000_000;

/// Interrupts a second.
const RATE: u32 = 5_000;

/// Whether the task holds its two slots right now.
static HELD: AtomicBool = AtomicBool::new(false);
/// Interrupts that came while it did, and all.
static HITS: AtomicU32 = AtomicU32::new(0);
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);

/// The interrupt handler's own two frames.
static FRAMES: IrqLock<Option<[Frame; 2]>> = IrqLock::new(None);

fn irq_slots(task: &mut Task<'_>) {
    report::window();

    let frame = || frames::alloc_highmem().expect("a frame of high memory");
    let (mut source, mut target) = (frame(), frame());
    let irq_frames = [frame(), frame()];
    println!("interrupt: {:?} in Irq0, {:?} in Irq1", irq_frames[0].pfn(), irq_frames[1].pfn());
    FRAMES.with(|frames| *frames = Some(irq_frames));

    timer::set_handler(tick);
    timer::set_rate(RATE);

    let mut round = 0;
    while HITS.load(Relaxed) < WANTED {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut from = kmap_atomic(slots.user0, &mut source);
        let mut to = kmap_atomic(slots.user1, &mut target);
        from.fill(round as u8 | 0x80);
        to.fill(0);

        HELD.store(true, Relaxed);
        to.copy_from_slice(&*from);
        let right = to.iter().zip(from.iter()).all(|(to, from)| to == from && *to == round as u8 | 0x80);
        HELD.store(false, Relaxed);

        assert!(right, "the task saw bytes that it had not written");
        round += 1;
        assert!(round < PATIENCE, "only {} interrupts hit while the task held both slots", HITS.load(Relaxed));
    }

    timer::set_rate(timer::DEFAULT_RATE);
    println!(
        "{} interrupts, {} of them while the task held both slots, in {round} rounds: nobody saw the other's bytes",
        INTERRUPTS.load(Relaxed),
        HITS.load(Relaxed)
    );
}

/// The timer interrupt. Its bytes never have the top bit, and the task's always have it.
fn tick(irq: &mut HardIrq<'_>) {
    let count = INTERRUPTS.fetch_add(1, Relaxed);
    if HELD.load(Relaxed) {
        HITS.fetch_add(1, Relaxed);
    }
    FRAMES.with(|frames| {
        let Some([source, target]) = frames else { return };
        let slots = irq.slots();
        let mut from = kmap_atomic(slots.irq0, source);
        let mut to = kmap_atomic(slots.irq1, target);
        let previous = (count.wrapping_sub(1) & 0x7f) as u8;
        assert!(
            count == 0 || to.iter().all(|&byte| byte == previous),
            "the interrupt saw bytes that it had not written"
        );
        from.fill((count & 0x7f) as u8);
        to.copy_from_slice(&*from);
    });
}
