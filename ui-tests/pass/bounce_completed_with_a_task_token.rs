//! A completion handler copies back in its own slot.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn complete(token: Slot<'_, MyKernel, BounceRead>, request: Request<'_>) {
    // SAFETY: the device is done.
    let done = unsafe { request.complete::<_, ()>(token, Ok(512)) };
    assert_eq!(done.result, Ok(512));
}

fn main() {
    let reserve = low_pages();
    thread(|task| {
        let request = reserve.read(task, parts()).unwrap().0.submit();
        program(&request);
        interrupt(|irq| complete(irq.slots().bounce_read, request));
    });
}
