//! A guard is made of another one, with another page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (page, other) = (frame(0), frame(1));
    thread(|task| {
        let (mapped, _) = kmap(task, &page).unwrap();
        let mapped = Kmap { page: &other, ..mapped }; // attack
        assert_eq!(mapped[0], 0);
        let _ = other.pfn();
    });
}
