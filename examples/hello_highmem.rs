//! Maps thousands of page frames that have no address, one after the other: writes each, unmaps it, maps it again in another
//! slot, and reads back what was written.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use highmem::linux::{User0, User1};
use highmem::{Page, kmap_atomic, kunmap_atomic};
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{Slot, Task};
use kernel::{memory, println, report};

kernel::main!(hello_highmem);

/// How many frames of each zone are used.
const FRAMES_PER_ZONE: usize = 4096;

/// How far apart two frames are whose numbers differ only in the high half of an entry: 4 GiB.
const FOUR_GIB: usize = 1 << 20;

fn hello_highmem(task: &mut Task<'_>) {
    report::memory();
    report::window();
    report::left_out();

    for zone in Zone::ALL.into_iter().filter(|zone| zone.is_reachable()) {
        let total = memory::map().total() >> 20;
        assert!(
            frames::stats(zone).total > 0,
            "this machine has {total} MiB of RAM, and no {zone}: start it with 6 GiB (--mem 6G)"
        );
        let mut frames: Vec<Frame> = core::iter::from_fn(|| frames::alloc(zone)).take(FRAMES_PER_ZONE).collect();
        let (first, last) = (frames[0].pfn(), frames[frames.len() - 1].pfn());
        println!("{zone}: {} frames, {:#x} to {:#x}", frames.len(), first.address(), last.address());

        let (mut written_at, mut read_at) = (0, 0);
        for frame in &mut frames {
            let mut atomic = task.atomic();
            written_at = write(atomic.slots().user0, frame);
        }
        for frame in &frames {
            let mut atomic = task.atomic();
            read_at = read_back(atomic.slots().user1, frame);
        }
        println!("  written at {written_at:#x}, read back at {read_at:#x}: every byte is right");
    }

    if Zone::Above4G.is_reachable() {
        two_frames_four_gib_apart(task);
    }
}

/// Fills a frame with its own pattern, and says at which address.
fn write(slot: Slot<'_, User0>, frame: &mut Frame) -> usize {
    let pattern = pattern(frame);
    let mut mapped = kmap_atomic(slot, frame);
    mapped.view_slice_mut::<u64>(0, 512).expect("a page is 512 words").copy_from_slice(&pattern);
    mapped.address()
}

/// Checks a frame's pattern, and says at which address.
fn read_back(slot: Slot<'_, User1>, frame: &Frame) -> usize {
    let mapped = kmap_atomic(slot, frame);
    assert_eq!(mapped.view_slice::<u64>(0, 512), Ok(&pattern(frame)[..]), "{:?}", mapped.pfn());
    mapped.address()
}

/// 512 words that no other frame has.
fn pattern(frame: &Frame) -> [u64; 512] {
    let seed = frame.pfn().address() ^ 0x9e37_79b9_7f4a_7c15;
    core::array::from_fn(|word| seed.rotate_left(word as u32) ^ word as u64)
}

/// If the high half of an entry were lost, both would be the same frame.
fn two_frames_four_gib_apart(task: &mut Task<'_>) {
    let mut low = frames::alloc(Zone::High).expect("a frame below 4 GiB");
    let number = low.pfn().number() + FOUR_GIB;
    // The memory between the PCI hole and 4 GiB does not exist, so the pair is looked for.
    let mut high = frames::alloc_at(number).or_else(|| {
        low = frames::alloc(Zone::Low)?;
        frames::alloc_at(low.pfn().number() + FOUR_GIB)
    });
    let high = high.as_mut().expect("a frame and the one 4 GiB above it");

    let mut atomic = task.atomic();
    let slots = atomic.slots();
    let mut mapped = kmap_atomic(slots.user0, &mut low);
    mapped.fill(0x11);
    let (slot, low) = kunmap_atomic(mapped);
    kmap_atomic(slots.user1, &mut *high).fill(0x22);
    assert!(kmap_atomic(slot, &*low).iter().all(|&byte| byte == 0x11), "both are the same frame");
    println!("{:#x} and {:#x} are two frames", low.pfn().address(), high.pfn().address());
}
