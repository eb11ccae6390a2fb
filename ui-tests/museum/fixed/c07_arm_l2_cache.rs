//! The cache code maps the page like everybody else, in a slot whose token it was given.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// Cleans the lines of a page that lie between these offsets, by virtual address.
fn feroceon_clean_pa_range(irqs_off: &mut IrqsOff<'_, MyKernel>, page: &Frame, start: usize, end: usize) -> usize {
    let slot = irqs_off.slots().irq0;
    let va = kmap_atomic(slot, page);
    clean_mva_range(&va[start..end])
}

/// How many lines of 32 bytes it cleaned.
fn clean_mva_range(bytes: &[u8]) -> usize {
    bytes.chunks(32).count()
}

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut irqs_off = atomic.irqs_off();
        assert_eq!(feroceon_clean_pa_range(&mut irqs_off, &page, 64, 256), 6);
    });
}
