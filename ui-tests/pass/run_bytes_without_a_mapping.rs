//! The bytes of a run are copied out, page by page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let run = run(0);
    let mut bytes = [1; 10];
    thread(|task| highmem::ops::memcpy_from_run(&mut bytes, task.atomic().slots().user0, &run, 4090)).unwrap();
    assert_eq!(bytes, [0; 10]);
}
