//! One view that holds both.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        let [head, tail] = mapped.view_mut::<[u32; 2]>(0).unwrap();
        std::mem::swap(head, tail);
    });
}
