//! It takes what is there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut from = UserSlice::new(0x1000, 8).unwrap().reader();
    let mut buffer = [0; 8];
    interrupt(|_irq| copy_from_user_inatomic(&mut buffer, &mut from)).unwrap();
    assert_eq!(buffer, [1; 8]);
}
