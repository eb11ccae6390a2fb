//! `try_kmap` in an interrupt handler: other CPUs cannot be waited for.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    interrupt(|irq| {
        let _mapped = try_kmap(irq, &page).unwrap();
    });
}
