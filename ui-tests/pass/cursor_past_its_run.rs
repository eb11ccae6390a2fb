//! A run is freed when its cursor is gone.
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
        cursor.read(&mut byte).unwrap();
        drop(cursor);
        free_run(run);
    });
}
