//! What is in it is handed over.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut from = UserSlice::new(0x1000, 8).unwrap().reader();
    let message: [u8; 8] = thread(|task| get_user(task, &mut from)).unwrap();
    send_to_another_cpu(message);
}
