//! `&&mut page` is a shared borrow, whatever is behind it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn clear<P: Page<Paging = Pae>>(slot: Slot<'_, MyKernel, User0>, page: P)
where
    P::Access: highmem::page::ReferencedMut,
{
    kmap_atomic(slot, page).fill(0);
}

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        clear(atomic.slots().user0, &&mut page);
    });
}
