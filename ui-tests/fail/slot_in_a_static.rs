//! A token in a `static`: every CPU would have it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

static SPARE: Global<Slot<'static, MyKernel, User0>> = Global::empty();

fn main() {
    assert!(SPARE.take().is_none());
}
