//! A byte is read, and looked at.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut from = UserSlice::new(0x1000, 1).unwrap().reader();
    thread(|task| {
        let on: u8 = get_user(task, &mut from).unwrap();
        assert!(on == 1);
    });
}
