//! The guard ends first.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let (mapped, _) = try_kmap(&mut atomic, &page).unwrap();
        assert_eq!(mapped[0], 0);
        drop(mapped);
        drop(atomic);
    });
}
