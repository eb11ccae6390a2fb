//! While a page is mapped, what is left of the task changes places with that in another task.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (page, other) = (frame(0), frame(1));
    thread(|task| {
        thread(|second| {
            let (mapped, left) = kmap(task, &page).unwrap();
            std::mem::swap(&mut **second, left); // attack
            let (again, _) = kmap(left, &other).unwrap(); // attack
            assert_eq!(mapped[0], other.pfn().number() as u8 - 1);
            sleep(left);
            wait(second);
        });
    });
}
