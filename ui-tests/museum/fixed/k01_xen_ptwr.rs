//! The domain has the page, and whoever looks at it maps it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/domain.rs"]
mod domain;
use domain::*;

/// A page table that a guest writes, until somebody looks what it has written.
struct Ptwr<'p> {
    l1pg: Option<&'p Frame>,
    old: u64,
}

fn ptwr_do_page_fault<'p>(slot: Slot<'_, MyKernel, User0>, ptwr: &mut Ptwr<'p>, l1pg: &'p Frame) {
    let pl1e = kmap_atomic(slot, l1pg);
    ptwr.old = entry(&pl1e[..], 0);
    ptwr.l1pg = Some(l1pg);
}

/// Whether the guest has changed the entry.
fn ptwr_flush(slot: Slot<'_, MyKernel, User0>, ptwr: &mut Ptwr<'_>) -> bool {
    ptwr.l1pg.take().is_some_and(|l1pg| entry(&kmap_atomic(slot, l1pg)[..], 0) != ptwr.old)
}

fn main() {
    let mut l1pg = frame(0);
    write_entry(&mut l1pg, 0, 0x1067);
    let mut ptwr = Ptwr { l1pg: None, old: 0 };
    thread(|task| ptwr_do_page_fault(task.atomic().slots().user0, &mut ptwr, &l1pg));
    thread(|task| on_another_cpu(task, || thread(|task| assert!(!ptwr_flush(task.atomic().slots().user0, &mut ptwr)))));
    assert!(ptwr.old == 0x1067 && ptwr.l1pg.is_none());
}
