//! A context in a `static`: whoever looks there would be in it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

static CURRENT: Global<Task<'static>> = Global::empty();

fn flush() {
    let mut task = CURRENT.take().unwrap();
    wait(&mut task);
    CURRENT.put(task);
}

fn main() {
    flush();
}
