//! Memory that user space may write is copied.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let run = user_run(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut walk = SgWalk::new(atomic.slots().user0, [Segment::whole(&run)]);
        let part = walk.next().unwrap();
        let mut byte = [1];
        part.read_at(0, &mut byte).unwrap();
        assert_eq!(byte, [0]);
    });
}
