//! The page is taken out of the guard, and freed under it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (mapped, _) = kmap(task, frame(0)).unwrap();
        free(std::mem::replace(mapped.page(), frame(2))); // attack
        assert_eq!(mapped[0], 0);
    });
}
