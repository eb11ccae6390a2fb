//! A guard is cloned: it would be unmapped twice.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let (mapped, _task) = kmap(task, &page).unwrap();
        let again = Kmap::clone(&mapped);
        drop(mapped);
        assert_eq!(again[0], 0);
    });
}
