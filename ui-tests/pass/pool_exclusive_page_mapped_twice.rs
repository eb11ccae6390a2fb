//! One page to be read, mapped twice at once.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let ([one, other], _task) = kmap_all(task, [&page, &page]).unwrap();
        assert_eq!(one[0], other[0]);
    });
}
