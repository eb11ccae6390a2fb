//! A guard is taken out of the variable that it is kept in, while its bytes are in use.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut kept = Some(kmap_atomic(atomic.slots().user0, &page));
        let bytes = kept.as_deref().unwrap();
        drop(kept.take()); // attack
        assert_eq!(bytes[0], 0);
        drop(kept);
    });
}
