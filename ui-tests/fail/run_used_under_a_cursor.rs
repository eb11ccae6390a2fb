//! A page of a run is written while a cursor lends its bytes.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut run = run(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut cursor = Cursor::over(slots.user0, &run);
        let bytes = cursor.fill_buf().unwrap();
        memcpy_to_run(slots.user1, &mut run, 0, &[1]).unwrap();
        assert_eq!(bytes[0], 0);
    });
}
