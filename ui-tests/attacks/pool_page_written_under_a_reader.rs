//! The page of a guard is mapped again, to be written, by way of the guard.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let (mapped, task) = kmap(task, &mut page).unwrap();
        let (mut again, _) = try_kmap(task, mapped.page()).unwrap();
        again[0] = 1; // attack
        assert_eq!(mapped[0], again[0]);
        let _ = &mut again;
    });
}
