//! A request for borrowed pages: forgotten, it would end the borrow, and the device would go on writing.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let reserve = low_pages();
    let mut pages = run(2);
    thread(|task| {
        let mut parts = Segments::<_, 2>::new();
        parts.push(Segment::whole(&mut pages)).unwrap();
        let _refused = reserve.read(task, parts).is_err();
    });
    free_run(pages);
}
