//! Copies pages between zones by `copy_highpage()`, as Linux does: two slots at once, the source in `User0` and the target in `User1`.

#![no_std]
#![no_main]

use highmem::{Page, copy_highpage, kmap_atomic};
use kernel::frames::{self, Zone};
use kernel::kmap::Task;
use kernel::{println, report};

kernel::main!(copy_pages);

/// How many pages are copied from each zone to each zone.
const PAGES: u32 = 1000;

fn copy_pages(task: &mut Task<'_>) {
    report::memory();
    report::left_out();

    let reachable = || Zone::ALL.into_iter().filter(|zone| zone.is_reachable());
    for from in reachable() {
        for to in reachable() {
            for page in 0..PAGES {
                let (Some(mut source), Some(mut target)) = (frames::alloc(from), frames::alloc(to)) else {
                    panic!("no frame free in zone {from} or {to}: start this with 6 GiB (--mem 6G)");
                };
                let mut atomic = task.atomic();
                let mut slots = atomic.slots();
                kmap_atomic(slots.user0.reborrow(), &mut source).fill(page as u8);
                kmap_atomic(slots.user0.reborrow(), &mut target).fill(!page as u8);

                // The target comes first. The tokens say it all: the helper, and whatever it calls, uses these two slots.
                copy_highpage(slots.user1.reborrow(), &mut target, slots.user0.reborrow(), &source);

                let copied = kmap_atomic(slots.user1, &target);
                assert!(copied.iter().all(|&byte| byte == page as u8), "{:?} to {:?}", source.pfn(), target.pfn());
            }
            println!("{PAGES} pages copied from {from} to {to}");
        }
    }
}
