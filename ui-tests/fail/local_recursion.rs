//! A function maps a page and calls itself under it: each call needs one slot more, without end.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn total<D: Depth>(local: &mut Local<'_, Nested, InTask, D>, pages: &[Frame]) -> u32 {
    let [page, rest @ ..] = pages else { return 0 };
    let (mapped, mut local) = kmap_local_page(local, page);
    u32::from(mapped[0]) + total(&mut local, rest)
}

fn main() {
    let pages = [frame(0), frame(1)];
    nested_thread(|task| {
        let mut pinned = task.pinned();
        assert_eq!(total(&mut pinned.local().0, &pages), 0);
    });
}
