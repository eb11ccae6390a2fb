//! The bytes are copied from one mapping to the other.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/gem.rs"]
mod gem;
use gem::*;

fn slow_kernel_write(atomic: &mut Atomic<'_, MyKernel>, obj: &mut GemObject, user_page: &SharedFrame, length: usize) {
    let slots = atomic.slots();
    let src = kmap_atomic(slots.user0, user_page);
    let mut dst = kmap_atomic(slots.user1, &mut obj.pages[0]);
    src.read_at(0, &mut dst[64..64 + length]).expect("within the page");
}

fn main() {
    let mut obj = GemObject { pages: vec![frame(0)] };
    let mut user_page = user_frame(1);
    thread(|task| kmap_atomic(task.atomic().slots().user0, &mut user_page).write_at(0, b"texture").unwrap());
    thread(|task| slow_kernel_write(&mut task.atomic(), &mut obj, &user_page, 7));
    assert_eq!(get(&obj.pages[0], 63), *b"\0texture\0");
}
