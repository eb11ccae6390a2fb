//! A mapping of the kernel's is read by a copy from user space.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    let mut buffer = [1; 8];
    thread(|task| {
        let (mut mapped, task) = kmap(task, &page).unwrap();
        copy_from_user(task, &mut buffer, &mut mapped).unwrap();
        assert_eq!(buffer, [0; 8]);
    });
}
