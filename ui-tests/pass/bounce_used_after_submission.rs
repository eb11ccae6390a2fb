//! A request is completed after submission, and gives its pages back.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let reserve = low_pages();
    thread(|task| {
        let (prepared, _task) = reserve.read(task, parts()).unwrap();
        let request = prepared.submit();
        program(&request);
        // SAFETY: the device was stopped.
        interrupt(|irq| unsafe { request.complete(irq.slots().bounce_read, Err("stopped")) });
    });
}
