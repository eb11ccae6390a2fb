//! `try_kmap` with preemption off: it never sleeps.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let _mapped = try_kmap(&mut atomic, &page).unwrap();
    });
}
