//! A13, KVM on Intel: `kunmap()` of the I/O bitmap was given the address: an oops when the module was loaded.
//!
//! Linux, `drivers/kvm/vmx.c`, 2007. Introduced in fdef3ad1b38, fixed in cd0536d7cb4. Seen: the diff.
//!
//! ```c
//! v = kmap(bitmap_page);
//! memset(v, 0xff, PAGE_SIZE);
//! kunmap(v);
//! ```
//!
//! The address was taken for a page. Here the address of a mapping is a number, or some bytes, and neither unmaps.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Gets the bitmap of I/O ports ready: all are intercepted, but that of delays.
fn vmx_init(task: &mut Task<'_>, bitmap_page: &mut Frame) {
    let (mut mapped, _task) = kmap(task, bitmap_page).unwrap();
    let iova = &mut mapped[..];
    iova.fill(0xff);
    iova[0x80 / 8] &= !(1 << (0x80 % 8));
    kunmap(iova);
}

fn main() {
    let mut bitmap = frame(0);
    thread(|task| vmx_init(task, &mut bitmap));
    assert_eq!(get(&bitmap, 15), [0xff, 0xfe, 0xff]);
}
