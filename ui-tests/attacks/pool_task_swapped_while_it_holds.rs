//! While a page is mapped, the task changes places with another one, which holds nothing.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (page, other) = (frame(0), frame(1));
    thread(|task| {
        thread(|second| {
            let (mapped, _) = kmap(task, &page).unwrap();
            std::mem::swap(task, second); // attack
            assert_eq!(mapped[0], 0);
            drop(mapped);
            drop(kmap(task, &other).unwrap());
        });
    });
}
