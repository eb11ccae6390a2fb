//! A page whose type nobody knows: neither its access nor its memory type could be.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use highmem::page::ReadWrite;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let page = &page;
        let page: &dyn Page<Paging = Pae, Access = ReadWrite> = page; // attack
        let mapped = kmap_atomic(atomic.slots().user0, page);
        assert_eq!(mapped[0], 0);
    });
}
