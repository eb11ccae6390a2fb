//! K01, Xen writable page tables: a virtual CPU's mapping is kept for its domain, and another one ends it.
//!
//! Xen, `xen/arch/x86/mm.c`, 2006. Fixed in 6f7a043a6a; the documentation in 8aa806e0b1. Seen: the diff.
//!
//! ```c
//! /* fault: */
//! d->ptwr.pl1e = map_domain_page(pfn);
//! /* flush, on another VCPU: */
//! ... d->ptwr.pl1e ...
//! unmap_domain_page(d->ptwr.pl1e);
//! ```
//!
//! At that address, the other one has something else, or nothing. The fix maps the page again. Here a mapping does not go to
//! another CPU, in whatever structure.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/domain.rs"]
mod domain;
use domain::*;

/// A page table that a guest writes, until somebody looks what it has written.
struct Ptwr<'cx, 'p> {
    pl1e: Option<KmapAtomic<'cx, MyKernel, User0, &'p Frame>>,
    old: u64,
}

fn ptwr_do_page_fault<'cx, 'p>(slot: Slot<'cx, MyKernel, User0>, ptwr: &mut Ptwr<'cx, 'p>, l1pg: &'p Frame) {
    let pl1e = kmap_atomic(slot, l1pg);
    ptwr.old = entry(&pl1e[..], 0);
    ptwr.pl1e = Some(pl1e);
}

/// Whether the guest has changed the entry.
fn ptwr_flush(ptwr: &mut Ptwr<'_, '_>) -> bool {
    ptwr.pl1e.take().is_some_and(|pl1e| entry(&pl1e[..], 0) != ptwr.old)
}

fn main() {
    let mut l1pg = frame(0);
    write_entry(&mut l1pg, 0, 0x1067);
    let mut ptwr = Ptwr { pl1e: None, old: 0 };
    thread(|task| {
        let mut atomic = task.atomic();
        ptwr_do_page_fault(atomic.slots().user0, &mut ptwr, &l1pg);
    });
    thread(|task| on_another_cpu(task, || assert!(!ptwr_flush(&mut ptwr))));
}
