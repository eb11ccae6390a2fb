//! A page that user space has mapped is read by its address, as by C's `page_address()`: in high memory it has none.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    assert_ne!(page.address(), 0);
}
