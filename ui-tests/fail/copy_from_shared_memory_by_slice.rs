//! User memory is copied to as if it were a slice.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        mapped.copy_from_slice(&[0; 4096]);
    });
}
