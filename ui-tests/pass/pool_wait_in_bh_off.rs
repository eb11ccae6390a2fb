//! `try_kmap` with softirqs off: it never sleeps.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut bh_off = atomic.bh_off();
        let _mapped = try_kmap(&mut bh_off, &page).unwrap();
    });
}
