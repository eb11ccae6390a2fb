//! Preemption is off as long as the context has a name.
#![deny(unused_must_use)]
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let _atomic = task.atomic();
    });
}
