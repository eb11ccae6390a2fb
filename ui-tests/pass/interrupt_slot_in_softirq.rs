//! The softirq turns interrupts off first.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    softirq(|cx| {
        kmap_atomic(cx.irqs_off().slots().bounce_read, &mut page).fill(0);
    });
}
