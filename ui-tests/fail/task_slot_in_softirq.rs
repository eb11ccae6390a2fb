//! A softirq uses a slot of tasks: it overwrites the mapping of the task it came over.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    softirq(|cx| {
        kmap_atomic(cx.slots().user0, &mut page).fill(0);
    });
}
