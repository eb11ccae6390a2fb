//! What is needed of the page is copied before `kunmap_atomic`.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let name: [u8; 16] = mapped[16..32].try_into().unwrap();
        let (_slot, _page) = kunmap_atomic(mapped);
        assert_eq!(name[0], 0);
    });
}
