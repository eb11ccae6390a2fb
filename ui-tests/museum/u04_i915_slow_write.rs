//! U04, i915: user memory that the kernel has mapped for itself is copied as if its address were one of user space.
//!
//! Linux, `drivers/gpu/drm/i915/i915_gem.c`, 2010. Fixed in ab34c226812. Seen: the diff.
//!
//! ```c
//! s = kmap_atomic(user_page);
//! __copy_from_user(d, s, n);
//! ```
//!
//! The fix is `memcpy()`. Here what user memory is copied from is a `UserReader`, and a mapping is the kernel's own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/gem.rs"]
mod gem;
use gem::*;

fn slow_kernel_write(atomic: &mut Atomic<'_, MyKernel>, obj: &mut GemObject, user_page: &SharedFrame, length: usize) {
    let slots = atomic.slots();
    let mut src = kmap_atomic(slots.user0, user_page);
    let mut dst = kmap_atomic(slots.user1, &mut obj.pages[0]);
    copy_from_user_inatomic(&mut dst[64..64 + length], &mut src).expect("no fault");
}

fn main() {
    let mut obj = GemObject { pages: vec![frame(0)] };
    let mut user_page = user_frame(1);
    thread(|task| kmap_atomic(task.atomic().slots().user0, &mut user_page).write_at(0, b"texture").unwrap());
    thread(|task| slow_kernel_write(&mut task.atomic(), &mut obj, &user_page, 7));
    assert_eq!(get(&obj.pages[0], 63), *b"\0texture\0");
}
