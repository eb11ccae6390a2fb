//! It is read once: the reader goes on behind it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let user = UserSlice::new(0x1000, 8).unwrap();
    thread(|task| {
        let mut from = user.reader();
        let len: u8 = get_user(task, &mut from).unwrap();
        assert!(len < 7);
        let message: [u8; 7] = get_user(task, &mut from).unwrap();
        assert_eq!(message[usize::from(len)], 1);
    });
}
