//! Another CPU is asked to use the page, and maps it itself.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        on_another_cpu(task, || {
            interrupt(|irq| {
                let mapped = kmap_atomic(irq.slots().irq0, &page);
                let bytes = &mapped[..];
                assert_eq!(bytes[0], 0);
            });
        });
    });
}
