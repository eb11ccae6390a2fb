//! A page is written while `page_address` lends its bytes.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// A slot of somebody else.
fn slot<'a>() -> Slot<'a, MyKernel, User0> {
    unimplemented!("where it comes from does not matter")
}

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let found = page_address::<MyKernel, _, _>(task, &page).unwrap().0;
        kmap_atomic(slot(), &mut page).fill(1);
        assert_eq!(found[0], 0);
    });
}
