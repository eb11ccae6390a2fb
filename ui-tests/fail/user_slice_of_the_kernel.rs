//! A fixed address of user memory is one of the kernel's: found when the constant is compiled.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

const SIGNAL_PAGE: UserSlice = match UserSlice::new(0xc000_0000, 4) {
    Ok(slice) => slice,
    Err(_) => panic!("the signal page is not in user memory"),
};

fn main() {
    thread(|task| put_user(task, &mut SIGNAL_PAGE.writer(), &0_u32)).unwrap();
}
