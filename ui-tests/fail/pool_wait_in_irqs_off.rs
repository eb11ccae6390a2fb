//! `kmap` with interrupts off: it may sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut irqs_off = atomic.irqs_off();
        let _mapped = kmap(&mut irqs_off, &page).unwrap();
    });
}
