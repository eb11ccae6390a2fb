//! Softirqs are kept out first.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        kmap_atomic(atomic.bh_off().slots().softirq0, &mut page).fill(0);
    });
}
