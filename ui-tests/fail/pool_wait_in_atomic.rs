//! `kmap` with preemption off: it may sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let _mapped = kmap(&mut atomic, &page).unwrap();
    });
}
