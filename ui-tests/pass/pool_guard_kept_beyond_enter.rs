//! What is kept is a copy.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    let mut kept = None;
    thread(|task| kept = kmap(task, &page).ok().map(|(mapped, _)| mapped.to_vec()));
    assert!(kept.is_some());
}
