//! A handler takes the guard along, to drop it whenever an interrupt comes.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// Has `handler` run at each interrupt.
fn on_interrupt(handler: impl FnMut() + Send + 'static) {
    drop(handler);
}

fn main() {
    thread(|task| {
        let mut kept = None;
        let (mapped, _) = kmap(task, frame(0)).unwrap();
        kept.replace(mapped);
        on_interrupt(move || drop(kept.take())); // attack
    });
}
