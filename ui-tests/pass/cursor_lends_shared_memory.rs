//! A cursor reads bytes that user space may write.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let run = user_run(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut cursor = Cursor::over(atomic.slots().user0, &run);
        let mut byte = [1];
        cursor.read(&mut byte).unwrap();
        assert_eq!(byte, [0]);
    });
}
