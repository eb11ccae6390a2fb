//! A callback that is given a token each time keeps them all.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn for_each_page(task: &mut Task<'_>, f: &mut dyn FnMut(Slot<'_, MyKernel, User0>)) {
    for _ in 0..2 {
        f(task.atomic().slots().user0);
    }
}

fn main() {
    thread(|task| {
        let mut kept: Vec<Slot<'_, MyKernel, User0>> = Vec::new();
        for_each_page(task, &mut |slot| {
            kept.push(slot); // attack
        });
        assert!(kept.is_empty());
    });
}
