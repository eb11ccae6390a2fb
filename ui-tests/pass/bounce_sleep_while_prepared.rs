//! The first request is submitted before the task waits for more pages: they come back when the device is done.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let reserve = low_pages();
    thread(|task| {
        let first = reserve.read(task, parts()).unwrap().0.submit();
        let second = reserve.read(task, parts()).map(|(prepared, _)| prepared.cancel());
        assert!(second.is_err());
        program(&first);
    });
}
