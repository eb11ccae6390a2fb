//! Guards are collected one by one in a list, which is a wait for each while the others are held.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1), frame(2)];
    thread(|task| {
        let mut guards = Vec::new();
        for page in &pages {
            let (mapped, _) = kmap(task, page).unwrap();
            assert_eq!(mapped[0], 0);
            guards.push(mapped); // attack
        }
        guards.push(kmap(task, &pages[0]).unwrap().0);
    });
}
