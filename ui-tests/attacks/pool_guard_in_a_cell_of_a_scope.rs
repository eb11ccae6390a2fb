//! A guard is left in a cell of another thread, which outlives the borrow of the task.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use std::sync::Mutex;

fn main() {
    let page = frame(0);
    let left = Mutex::new(None);
    thread(|task| {
        let (mapped, task) = kmap(task, &page).unwrap();
        assert_eq!(mapped[0], 0);
        *left.lock().unwrap() = Some(mapped); // attack
        sleep(task);
    });
    *left.lock().unwrap() = None::<Kmap<'_, MyKernel, &Frame>>;
}
