//! A list of parts of runs that are only borrowed is written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let run = run(0);
    thread(|task| {
        let list = [Segment::whole(&run)];
        let copied = sg_copy_from_buffer(task.atomic().slots().user0, list, &[1, 2, 3]);
        assert_eq!(copied, 3);
    });
}
