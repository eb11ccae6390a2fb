//! A pointer into the page is used after `kunmap_atomic`: by now the slot may hold another page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let name = &mapped[16..32];
        let (_slot, _page) = kunmap_atomic(mapped);
        assert_eq!(name[0], 0);
    });
}
