//! The page is written afterwards.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let found = page_address::<MyKernel, _, _>(task, &page).unwrap().0;
        assert_eq!(found[0], 0);
        drop(found);
        let (mut mapped, _task) = kmap(task, &mut page).unwrap();
        mapped.fill(1);
    });
}
