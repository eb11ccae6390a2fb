//! `kmap` in an interrupt handler: it may sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    interrupt(|irq| {
        let _mapped = kmap(irq, &page).unwrap();
    });
}
