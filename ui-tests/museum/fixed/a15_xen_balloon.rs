//! `clear_highpage` maps and unmaps.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Nobody is to read what was in a page that goes back to the hypervisor.
fn scrub_page(task: &mut Task<'_>, page: &mut Frame) {
    highmem::clear_highpage(task.atomic().slots().user0, page);
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 0, b"secret");
    thread(|task| scrub_page(task, &mut page));
    assert_eq!(get(&page, 0), [0; 6]);
}
