//! A completion handler copies back in a task's slot: it overwrites the mapping of the task that it interrupted.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn complete(token: Slot<'_, MyKernel, User0>, request: Request<'_>) {
    // SAFETY: the device is done.
    let done = unsafe { request.complete::<_, ()>(token, Ok(512)) };
    assert_eq!(done.result, Ok(512));
}

fn main() {
    let reserve = low_pages();
    thread(|task| {
        let request = reserve.read(task, parts()).unwrap().0.submit();
        program(&request);
        complete(task.atomic().slots().user0, request);
    });
}
