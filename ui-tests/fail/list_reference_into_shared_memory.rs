//! Memory that user space may write is looked at through a reference.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let run = user_run(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut walk = SgWalk::new(atomic.slots().user0, [Segment::whole(&run)]);
        let part = walk.next().unwrap();
        assert_eq!(part[0], 0);
    });
}
