//! Memory that others write is declared memory that nobody else writes.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

impl highmem::page::Referenced for highmem::page::Volatile {} // attack

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        assert_eq!(mapped.load::<u8>(0), Ok(0));
    });
}
