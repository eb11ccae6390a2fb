//! The page is copied under the mapping, and written when that has ended.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/lime.rs"]
mod lime;
use lime::*;

fn write_lime_page(task: &mut Task<'_>, file: &mut File, page: &Frame) {
    let v = *kmap_atomic(task.atomic().slots().user0, page);
    kernel_write(task, file, &v);
}

fn main() {
    let (mut page, mut file) = (frame(0), File::default());
    put(&mut page, 4092, b"last");
    thread(|task| write_lime_page(task, &mut file, &page));
    assert_eq!((file.data.len(), &file.data[4092..]), (4096, &b"last"[..]));
}
