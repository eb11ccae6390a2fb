//! A guard of `try_kmap` outlives the context that it was made in.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let (mapped, _) = try_kmap(&mut atomic, &page).unwrap();
        drop(atomic);
        assert_eq!(mapped[0], 0);
    });
}
