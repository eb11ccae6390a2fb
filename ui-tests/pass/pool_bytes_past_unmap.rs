//! Bytes are used while there is the guard.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let (mapped, _task) = kmap(task, &page).unwrap();
        let bytes: &[u8] = &mapped[..16];
        assert_eq!(bytes[0], 0);
        drop(mapped);
    });
}
