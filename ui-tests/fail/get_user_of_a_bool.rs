//! A `bool` is read from user memory, which may have any byte there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut from = UserSlice::new(0x1000, 1).unwrap().reader();
    thread(|task| {
        let on: bool = get_user(task, &mut from).unwrap();
        assert!(on);
    });
}
