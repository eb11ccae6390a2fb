//! A closure maps pages, and is called under a mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (page, other) = (frame(0), frame(1));
    thread(|task| {
        let mut sum = || kmap(task, &other).unwrap().0[0];
        assert_eq!(sum(), 0);
        let (mapped, _) = kmap(task, &page).unwrap();
        assert_eq!(sum(), 0); // attack
        assert_eq!(mapped[0], 0);
    });
}
