//! The guard is dropped at the end of the statement, and its bytes are used after it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let bytes: &[u8] = kmap(task, &page).unwrap().0.as_slice();
        assert_eq!(bytes[0], 0);
    });
}
