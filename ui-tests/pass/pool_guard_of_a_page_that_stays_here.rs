//! The mapping of any other page may.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// Runs `f` on another CPU, and waits for it.
fn run_on_another_cpu(_task: &mut MaySleep<'_>, f: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(f).join().unwrap());
}

fn main() {
    thread(|task| {
        let (mut mapped, task) = kmap(task, frame(0)).unwrap();
        run_on_another_cpu(task, || mapped.fill(1));
    });
}
