//! A request owns its pages.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let reserve = low_pages();
    let pages = run(2);
    thread(|task| {
        let mut parts = Segments::<_, 2>::new();
        parts.push(Segment::whole(pages)).unwrap();
        let refused = reserve.read(task, parts).err().unwrap();
        refused.segments.into_iter().map(Segment::into_run).for_each(free_run);
    });
}
