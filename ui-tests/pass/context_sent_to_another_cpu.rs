//! Another CPU makes a context of its own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        send_to_another_cpu(|task: &mut Task<'_>| drop(task.atomic()));
        wait(task);
    });
}
