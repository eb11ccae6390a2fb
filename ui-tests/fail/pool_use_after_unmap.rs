//! Bytes are read after `kunmap`.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let (mut mapped, _task) = kmap(task, &mut page).unwrap();
        mapped.fill(0);
        kunmap(mapped);
        assert_eq!(mapped[0], 0);
    });
}
