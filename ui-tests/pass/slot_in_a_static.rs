//! A number in a `static`, and the token where it is used.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

static SPARE: Global<Pfn<Pae>> = Global::empty();

fn main() {
    SPARE.put(Pfn::new(3).unwrap());
    assert!(SPARE.take().is_some());
}
