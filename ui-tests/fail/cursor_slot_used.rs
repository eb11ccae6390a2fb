//! A page is mapped in the slot that a cursor has.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let run = run(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut cursor = Cursor::over(slots.user0, &run);
        cursor.read(&mut [0]).unwrap();
        kmap_atomic(slots.user0, frame(2)).fill(0);
        cursor.read(&mut [0]).unwrap();
    });
}
