//! A copy to user space takes an address that nobody has checked: user space writes to the kernel (CVE-2010-3904).
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    let address = 0x1000_usize;
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        copy_to_user_inatomic(address, (&mapped, 0..8)).unwrap();
    });
}
