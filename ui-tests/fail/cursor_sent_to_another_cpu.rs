//! A cursor goes to another CPU, and takes the slot of this one with it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let run = run(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let cursor = Cursor::over(atomic.slots().user0, &run);
        send_to_another_cpu(cursor);
    });
}
