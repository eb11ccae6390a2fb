//! The bytes of a guard are copied into a second guard.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let (mapped, _) = kmap(task, &page).unwrap();
        let again = highmem::zerocopy::transmute!([mapped.address(), 0]); // attack
        let again: Kmap<'_, MyKernel, &Frame> = again; // attack
        assert_eq!(again[0], 0); // attack
        assert_eq!(mapped[0], 0);
    });
}
