//! The bytes of a part are used when the next part is in their place.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let list = [Segment::whole(run(0)), Segment::whole(run(2))];
    thread(|task| {
        let mut atomic = task.atomic();
        let mut walk = SgWalk::new(atomic.slots().user0, &list);
        let one = walk.next().unwrap();
        let other = walk.next().unwrap();
        assert_eq!(one[0], other[0]);
    });
}
