//! A context that says of itself that it may wait.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct Idle;

impl<'e> highmem::pool::MayWait<'e, MyKernel> for Idle {
    fn task(&mut self) -> &mut Task<'e> {
        unimplemented!("there is none")
    }
}

fn main() {
    let page = frame(0);
    let (mapped, _) = kmap(&mut Idle, &page).unwrap();
    assert_eq!(mapped[0], 0);
}
