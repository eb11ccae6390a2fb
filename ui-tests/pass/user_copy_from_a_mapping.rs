//! It is read as what it is.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    let mut buffer = [1; 8];
    thread(|task| {
        let (mapped, _task) = kmap(task, &page).unwrap();
        buffer.copy_from_slice(&mapped[..8]);
        assert_eq!(buffer, [0; 8]);
    });
}
