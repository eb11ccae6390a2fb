//! Each call has unmapped its page before it calls itself.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn total<D: Depth>(local: &mut Local<'_, Nested, InTask, D>, pages: &[Frame]) -> u32 {
    let [page, rest @ ..] = pages else { return 0 };
    let first = u32::from(kmap_local_page(local, page).0[0]);
    first + total(local, rest)
}

fn main() {
    let pages = [frame(0), frame(1)];
    nested_thread(|task| {
        let mut pinned = task.pinned();
        assert_eq!(total(&mut pinned.local().0, &pages), 0);
    });
}
