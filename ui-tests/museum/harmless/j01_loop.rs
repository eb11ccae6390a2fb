//! J01, loop, crypto and others: pages are unmapped in the order in which they were mapped.
//!
//! Linux, `drivers/block/loop.c`, `include/linux/highmem.h`, crypto and others, 2010. Fixed in 61ecdb801ef. Seen: the diff.
//!
//! ```c
//! a = kmap_atomic(x);
//! b = kmap_atomic(y);
//! memcpy(b, a, n);
//! kunmap_atomic(a);
//! kunmap_atomic(b);
//! ```
//!
//! When slots became a stack, the topmost had to end first, and eight places in five files did it the other way round. Here a slot
//! is named, or its depth is in its type: the order is of no concern.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

const FROM: [u8; 4] = *b"loop";

fn transfer_none(atomic: &mut Atomic<'_, MyKernel>, raw_page: &Frame, loop_page: &mut Frame, size: usize) {
    let slots = atomic.slots();
    let raw_buf = kmap_atomic(slots.user0, raw_page);
    let mut loop_buf = kmap_atomic(slots.user1, loop_page);
    loop_buf[..size].copy_from_slice(&raw_buf[..size]);
    kunmap_atomic(raw_buf);
    loop_buf[size] = 0xff; // the one that is left is what it was
    kunmap_atomic(loop_buf);
}

fn copy_user_highpage<D: Depth + Room<Nested, InTask, 2>>(
    local: &mut Local<'_, Nested, InTask, D>,
    to: &mut Frame,
    from: &Frame,
) {
    let (vfrom, mut local) = kmap_local_page(local, from);
    let (mut vto, _) = kmap_local_page(&mut local, to);
    vto.copy_from_slice(&vfrom[..]);
    kunmap_local(vfrom);
    vto[4095] = 0xff;
    kunmap_local(vto);
}

fn main() {
    let (mut raw_page, mut loop_page, mut copy) = (frame(0), frame(1), frame(2));
    thread(|task| {
        let mut atomic = task.atomic();
        kmap_atomic(atomic.slots().user0, &mut raw_page)[..4].copy_from_slice(&FROM);
        transfer_none(&mut atomic, &raw_page, &mut loop_page, 4);
        assert_eq!(kmap_atomic(atomic.slots().user0, &loop_page)[..6], *b"loop\xff\0");
    });
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _task) = pinned.local();
        copy_user_highpage(&mut local, &mut copy, &loop_page);
        let (copy, _) = kmap_local_page(&mut local, &copy);
        assert_eq!((&copy[..6], copy[4095]), (b"loop\xff\0".as_slice(), 0xff));
    });
}
