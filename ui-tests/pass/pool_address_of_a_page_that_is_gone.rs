//! The mapping ends first.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let page = frame(0);
        let found = page_address::<MyKernel, _, _>(task, &page).unwrap().0;
        assert_eq!(found[0], 0);
        drop(found);
        free(page);
    });
}
