//! E10, LiME: a dumper of memory writes each page to a file while it is mapped atomically.
//!
//! LiME, `src/main.c`, 2020 to 2023. github.com/jtsylve/LiME pull/80 (introduced) and pull/110 (fix). Seen: the diff.
//!
//! ```c
//! v = kmap_atomic(p);
//! kernel_write(f, v, PAGE_SIZE, &pos);
//! kunmap_atomic(v);
//! ```
//!
//! A write to a file may wait for a disk. The fix copies first, and lets the write sleep. Here what writes to a file takes the task.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/lime.rs"]
mod lime;
use lime::*;

fn write_lime_page(task: &mut Task<'_>, file: &mut File, page: &Frame) {
    let mut atomic = task.atomic();
    let v = kmap_atomic(atomic.slots().user0, page);
    kernel_write(task, file, &v[..]);
}

fn main() {
    let (mut page, mut file) = (frame(0), File::default());
    put(&mut page, 4092, b"last");
    thread(|task| write_lime_page(task, &mut file, &page));
    assert_eq!((file.data.len(), &file.data[4092..]), (4096, &b"last"[..]));
}
