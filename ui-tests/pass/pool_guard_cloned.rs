//! The page has a second user.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let (mapped, task) = kmap(task, &page).unwrap();
        let (again, _task) = page_address::<MyKernel, _, _>(task, &page).unwrap();
        drop(mapped);
        assert_eq!(again[0], 0);
    });
}
