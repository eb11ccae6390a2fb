//! It is one of user memory.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

const SIGNAL_PAGE: UserSlice = match UserSlice::new(0x1000, 4) {
    Ok(slice) => slice,
    Err(_) => panic!("the signal page is not in user memory"),
};

fn main() {
    thread(|task| put_user(task, &mut SIGNAL_PAGE.writer(), &0_u32)).unwrap();
}
