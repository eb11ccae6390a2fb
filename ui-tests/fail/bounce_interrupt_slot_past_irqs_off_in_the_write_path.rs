//! A write copies in an interrupt slot: interrupts were off when the token was taken, and are on when it is used.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let reserve = low_pages();
    thread(|task| {
        let (prepared, _task) = reserve.write(task, parts(), |atomic| atomic.irqs_off().slots().bounce_read).unwrap();
        prepared.cancel();
    });
}
