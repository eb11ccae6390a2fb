//! An interrupt slot in a softirq, which runs with interrupts on.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    softirq(|cx| {
        kmap_atomic(cx.slots().bounce_read, &mut page).fill(0);
    });
}
