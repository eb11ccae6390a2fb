//! The page is passed to `kunmap`, as in C. In C this is right for `kmap`, and wrong for `kmap_atomic`; here there is one way.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let (mut mapped, _task) = kmap(task, &mut page).unwrap();
        mapped.fill(0);
        kunmap(page);
    });
}
