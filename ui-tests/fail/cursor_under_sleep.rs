//! A task sleeps while a cursor has a page mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let run = run(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut cursor = Cursor::over(atomic.slots().user0, &run);
        let mut bytes = [0; 2];
        cursor.read(&mut bytes[..1]).unwrap();
        sleep(task);
        cursor.read(&mut bytes[1..]).unwrap();
    });
}
