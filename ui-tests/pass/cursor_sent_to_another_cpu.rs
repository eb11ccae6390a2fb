//! A segment goes to another CPU, which makes a cursor of its own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        send_to_another_cpu(Segment::whole(run(0)));
        let mut atomic = task.atomic();
        let mut cursor = Cursor::over(atomic.slots().user0, run(2));
        cursor.read(&mut [0]).unwrap();
    });
}
