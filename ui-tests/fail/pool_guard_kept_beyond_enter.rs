//! A guard outlives its task.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    let mut kept = None;
    thread(|task| kept = kmap(task, &page).ok());
    assert!(kept.is_some());
}
