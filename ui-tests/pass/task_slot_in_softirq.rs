//! A softirq uses a softirq slot.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    softirq(|cx| {
        kmap_atomic(cx.slots().softirq0, &mut page).fill(0);
    });
}
