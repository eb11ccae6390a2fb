//! A length is read, checked, and read again: user space has changed it in between.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let user = UserSlice::new(0x1000, 8).unwrap();
    thread(|task| {
        let len: u8 = get_user(task, &mut user.reader()).unwrap();
        assert!(len < 8);
        let message: [u8; 8] = get_user(task, &mut user.reader()).unwrap();
        assert_eq!(message[usize::from(message[0])], 1);
    });
}
