//! A cursor lends bytes that user space may write.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let run = user_run(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut cursor = Cursor::over(atomic.slots().user0, &run);
        assert_eq!(cursor.fill_buf().unwrap()[0], 0);
    });
}
