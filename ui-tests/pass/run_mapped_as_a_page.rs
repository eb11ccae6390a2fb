//! A page of a run is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut run = run(0);
    thread(|task| {
        kmap_atomic(task.atomic().slots().user0, run.page_mut(1).unwrap()).fill(0);
    });
}
