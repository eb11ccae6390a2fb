//! Guards that keep each other alive are never dropped: their context is ended while their bytes are in use.
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
        drop(atomic);
        assert_eq!(node.mapped[0], 0);
    });
}
