//! A run of pages is mapped as if it were one page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut run = run(0);
    thread(|task| {
        drop(kmap_atomic(task.atomic().slots().user0, &mut run));
    });
}
