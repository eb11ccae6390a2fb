//! The right to go deeper is kept until preemption is on again.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use highmem::context::AtomicDeeper;

fn main() {
    thread(|task| {
        let mut kept: Option<AtomicDeeper<'_, MyKernel>> = None;
        {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            kept.replace(slots.deeper); // attack
        }
        if let Some(mut deeper) = kept {
            drop(deeper.irqs_off());
        }
    });
}
