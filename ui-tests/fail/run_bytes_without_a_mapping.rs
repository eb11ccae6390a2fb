//! The bytes of a run are used as if it had an address: the pages of one in high memory have none.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn bytes(run: &FrameRun, at: usize) -> &[u8] {
    &run[at..at + 10]
}

fn main() {
    assert_eq!(bytes(&run(0), 4090), [0; 10]);
}
