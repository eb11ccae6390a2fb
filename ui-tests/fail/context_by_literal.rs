//! A context is written down as a struct, and preemption stays on.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::marker::PhantomData;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic: Atomic<'_, MyKernel> = Atomic(PhantomData);
        kmap_atomic(atomic.slots().user0, &mut page).fill(0);
    });
}
