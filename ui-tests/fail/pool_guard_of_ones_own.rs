//! A structure that says of itself that it is a mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct Mine(Frame);

impl highmem::pool::PoolGuard for Mine {
    type Page = Frame;
    fn unmap(self) -> Frame {
        self.0
    }
}

fn main() {
    let page = kunmap(Mine(frame(0)));
    free(page);
}
