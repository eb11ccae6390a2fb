//! An interrupt handler copies from user space by a copy that may sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut from = UserSlice::new(0x1000, 8).unwrap().reader();
    let mut buffer = [0; 8];
    interrupt(|irq| copy_from_user(irq, &mut buffer, &mut from)).unwrap();
    assert_eq!(buffer, [1; 8]);
}
