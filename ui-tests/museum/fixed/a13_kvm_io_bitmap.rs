//! The guard is unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Gets the bitmap of I/O ports ready: all are intercepted, but that of delays.
fn vmx_init(task: &mut Task<'_>, bitmap_page: &mut Frame) {
    let (mut iova, _task) = kmap(task, bitmap_page).unwrap();
    iova.fill(0xff);
    iova[0x80 / 8] &= !(1 << (0x80 % 8));
    kunmap(iova);
}

fn main() {
    let mut bitmap = frame(0);
    thread(|task| vmx_init(task, &mut bitmap));
    assert_eq!(get(&bitmap, 15), [0xff, 0xfe, 0xff]);
}
