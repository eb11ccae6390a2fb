//! A frame number is no page: nothing says who else uses the frame.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (mapped, _task) = kmap(task, Pfn::<Pae>::new(0).unwrap()).unwrap();
        assert_eq!(mapped[0], 0);
    });
}
