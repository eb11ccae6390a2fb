//! A guard's page is looked at through the guard after that has given it back.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, frame(0));
        let page = mapped.page();
        let (_slot, owned) = kunmap_atomic(mapped); // attack
        free(owned); // attack
        assert_eq!(page.pfn().number(), 0);
    });
}
