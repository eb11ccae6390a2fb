//! The callee takes the token, which nobody has who does not stay.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn copy(local: &mut Local<'_, Nested, InTask>, to: &mut Frame, from: &Frame) {
    let (from, mut local) = kmap_local_page(local, from);
    let (mut to, _) = kmap_local_page(&mut local, to);
    to.copy_from_slice(&from[..]);
}

fn main() {
    let (mut to, from) = (frame(0), frame(1));
    nested_thread(|task| copy(&mut task.pinned().local().0, &mut to, &from));
}
