//! A mapping has an address.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    thread(|task| assert_ne!(kmap_atomic(task.atomic().slots().user0, &page).address(), 0));
}
