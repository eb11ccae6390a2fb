//! An interrupt slot's guard is kept past the block that had interrupts off, and only unmapped there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let _mapped;
        {
            let mut irqs_off = atomic.irqs_off();
            _mapped = kmap_atomic(irqs_off.slots().irq0, &mut page);
        }
    });
}
