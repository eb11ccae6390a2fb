//! A context and a guard of it in one structure, to be dropped in whatever order.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct Both<'cx> {
    atomic: Atomic<'cx, MyKernel>,
    mapped: Option<KmapAtomic<'cx, MyKernel, User0, Frame>>,
}

fn main() {
    thread(|task| {
        let mut both = Both { atomic: task.atomic(), mapped: None };
        both.mapped = Some(kmap_atomic(both.atomic.slots().user0, frame(0))); // attack
        drop(both.atomic);
        assert!(both.mapped.is_none_or(|mapped| mapped[0] == 0));
    });
}
