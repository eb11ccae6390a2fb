//! A token that came of a lent one is kept, to be used when the lender has another of its depth.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1)];
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let mut kept = None;
        {
            let mut lent = local.reborrow();
            let (mapped, deeper) = kmap_local_page(&mut lent, &pages[0]);
            drop(mapped);
            kept = Some(deeper); // attack
        }
        let (_a, mut below) = kmap_local_page(&mut local, &pages[0]);
        let (_b, _) = kmap_local_page(&mut below, &pages[1]);
        kept.as_mut().map(|kept: &mut Local<'_, Nested, InTask, typenum::U1>| drop(kept.slot()));
    });
}
