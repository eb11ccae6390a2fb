//! Guards that keep each other alive are never dropped: their bytes are used before their context ends.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

struct Node<'cx> {
    mapped: KmapAtomic<'cx, MyKernel, User0, Frame>,
    next: RefCell<Option<Rc<Node<'cx>>>>,
}

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let node = Rc::new(Node { mapped: kmap_atomic(atomic.slots().user0, frame(0)), next: RefCell::new(None) });
        node.next.replace(Some(node.clone()));
        assert_eq!(node.mapped[0], 0);
    });
}
