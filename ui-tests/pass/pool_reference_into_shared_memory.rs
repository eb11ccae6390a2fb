//! Memory that a user process may write is copied.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let (mapped, _task) = kmap(task, &page).unwrap();
        let mut bytes = [1; 16];
        mapped.read_at(0, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 16]);
    });
}
