//! A context goes to another CPU: preemption would be off here, and the slots used there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        send_to_another_cpu(task.atomic());
    });
}
