//! A run is freed while a cursor has one of its pages mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let run = run(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut cursor = Cursor::over(atomic.slots().user0, &run);
        let mut byte = [0];
        cursor.read(&mut byte).unwrap();
        free_run(run);
        cursor.read(&mut byte).unwrap();
    });
}
