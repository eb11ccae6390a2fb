//! A critical section is entered within a context.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct Section;
critical_section::set_impl!(Section);

// SAFETY: a process with one thread, in which nothing comes in between.
unsafe impl critical_section::Impl for Section {
    unsafe fn acquire() -> u8 {
        0
    }
    unsafe fn release(_: u8) {}
}

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut off = atomic.irqs_off();
        let mut bytes = kmap_atomic(off.slots().irq0, &mut page);
        critical_section::with(|_section| bytes.fill(0));
    });
}
