//! One page after the other.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/domain.rs"]
mod domain;
use domain::*;

/// Which pages are zero, and can be taken back.
fn p2m_pod_zero_check(mut slot: Slot<'_, MyKernel, User0>, pages: &[Frame]) -> Vec<usize> {
    let mut reclaimed = Vec::new();
    for (gfn, page) in pages.iter().enumerate() {
        let mapped = kmap_atomic(slot.reborrow(), page);
        if (0..16).any(|word| entry(&mapped[..], word) != 0) {
            continue;
        }
        reclaimed.push(gfn);
    }
    reclaimed
}

fn main() {
    let mut pages = [frame(0), frame(1), frame(2)];
    write_entry(&mut pages[1], 15, 1);
    thread(|task| {
        let mut atomic = task.atomic();
        assert_eq!(p2m_pod_zero_check(atomic.slots().user0, &pages), [0, 2]);
    });
}
