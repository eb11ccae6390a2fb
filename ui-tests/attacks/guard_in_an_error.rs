//! A guard is part of an error that goes up to where the context has ended.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn checksum<'a>(
    task: &mut Task<'_>,
    page: &'a Frame,
) -> Result<u8, KmapAtomic<'a, MyKernel, User0, &'a Frame>> {
    let mut atomic = task.atomic();
    let mapped = kmap_atomic(atomic.slots().user0, page);
    if mapped[0] != 0 {
        return Err(mapped); // attack
    }
    Ok(mapped[0])
}

fn main() {
    let page = frame(0);
    thread(|task| assert_eq!(checksum(task, &page).ok(), Some(0)));
}
