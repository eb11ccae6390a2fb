//! A callee maps in a slot of its CPU, and its caller no longer sees to it that the thread stays there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn copy(task: &mut NestedMaySleepHere<'_>, to: &mut Frame, from: &Frame) {
    let (from, task) = kmap_local_page(task, from);
    let (mut to, _) = kmap_local_page(task, to);
    to.copy_from_slice(&from[..]);
}

fn main() {
    let (mut to, from) = (frame(0), frame(1));
    nested_thread(|task| copy(task, &mut to, &from));
}
