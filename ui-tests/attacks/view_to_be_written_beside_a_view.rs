//! A value is written while another view of the same bytes is read.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, frame(0));
        let length = mapped.view::<u32>(0).unwrap();
        mapped.view_slice_mut::<u8>(0, 4).unwrap().fill(1); // attack
        assert_eq!(*length, 0);
        drop(mapped);
    });
}
