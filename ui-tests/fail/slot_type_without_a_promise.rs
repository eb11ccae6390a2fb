//! A slot type is written by hand: nothing says that its place in the window is its own.
#[path = "../prelude.rs"]
mod prelude;
use highmem::typenum::U0;
use prelude::*;

struct Mine;

impl KmType for Mine {
    type Set = Set;
    type Index = U0;
    const NAME: &'static str = "Mine";
}

fn main() {
    assert_eq!(Mine::NAME, "Mine");
}
