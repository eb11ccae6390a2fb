//! A write copies in a task's slot.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let reserve = low_pages();
    thread(|task| {
        let (prepared, _task) = reserve.write(task, parts(), |atomic| atomic.slots().user0).unwrap();
        prepared.cancel();
    });
}
