//! A task sleeps, and goes on with a new cursor at the place where the last one was.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let run = run(0);
    thread(|task| {
        let mut bytes = [0; 2];
        Cursor::over(task.atomic().slots().user0, &run).read(&mut bytes[..1]).unwrap();
        sleep(task);
        let mut atomic = task.atomic();
        let mut cursor = Cursor::over(atomic.slots().user0, &run);
        cursor.skip(1);
        cursor.read(&mut bytes[1..]).unwrap();
    });
}
