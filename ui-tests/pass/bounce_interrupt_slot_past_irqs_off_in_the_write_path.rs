//! A write copies in an interrupt slot, with interrupts off as long as it has the token: it cannot sleep there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let reserve = low_pages();
    thread(|task| {
        let mut atomic = task.atomic();
        let mut irqs_off = atomic.irqs_off();
        reserve.try_write(irqs_off.slots().bounce_read, parts()).unwrap().cancel();
    });
}
