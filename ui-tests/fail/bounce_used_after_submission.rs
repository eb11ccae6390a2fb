//! A request is cancelled after submission: the device would write into pages that are somebody else's by then.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let reserve = low_pages();
    thread(|task| {
        let (prepared, _task) = reserve.read(task, parts()).unwrap();
        let request = prepared.submit();
        program(&request);
        prepared.cancel();
    });
}
