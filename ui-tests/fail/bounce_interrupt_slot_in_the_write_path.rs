//! A write copies in an interrupt slot with interrupts on: a handler comes in between and overwrites the mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let reserve = low_pages();
    thread(|task| {
        let (prepared, _task) = reserve.write(task, parts(), |atomic| atomic.slots().bounce_read).unwrap();
        prepared.cancel();
    });
}
