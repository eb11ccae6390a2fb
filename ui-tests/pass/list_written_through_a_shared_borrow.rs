//! A list of parts of runs that are borrowed exclusively is written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut run = run(0);
    thread(|task| {
        let list = [Segment::whole(&mut run)];
        let copied = sg_copy_from_buffer(task.atomic().slots().user0, list, &[1, 2, 3]);
        assert_eq!(copied, 3);
    });
}
