//! A task sleeps while it has a spin lock that was taken with interrupts off.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// A value that is locked with interrupts off, which its user shows by a context.
struct IrqMutex<T>(lock_api::Mutex<spin::Mutex<()>, T>);

impl<T> IrqMutex<T> {
    fn with<X>(&self, off: &mut IrqsOff<'_, MyKernel>, f: impl FnOnce(&mut T) -> X) -> X {
        let _slots = off.slots();
        f(&mut self.0.lock())
    }
}

fn main() {
    let jobs = IrqMutex(lock_api::Mutex::new(0));
    thread(|task| {
        jobs.with(&mut task.atomic().irqs_off(), |jobs| {
            sleep(task);
            *jobs += 1;
        });
    });
}
