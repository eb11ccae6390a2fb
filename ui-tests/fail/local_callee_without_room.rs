//! A function that needs two local maps is called with two of three in use.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// Needs two local maps.
fn duplicate<D: Depth + Room<Nested, InTask, 2>>(
    local: &mut Local<'_, Nested, InTask, D>,
    to: &mut Frame,
    from: &Frame,
) {
    let (from, mut local) = kmap_local_page(local, from);
    kmap_local_page(&mut local, to).0.copy_from_slice(&from[..]);
}

fn main() {
    let (a, b, mut c, mut d) = (frame(0), frame(1), frame(2), frame(3));
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (_a, mut local) = kmap_local_page(&mut local, &a);
        let (_b, mut local) = kmap_local_page(&mut local, &b);
        duplicate(&mut local, &mut c, &frame(3));
        let _ = &mut d;
    });
}
