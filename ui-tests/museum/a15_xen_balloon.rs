//! A15, the Xen balloon: a page that is given back is scrubbed, and then `kunmap()` is given the address.
//!
//! Linux, `drivers/xen/balloon.c`, 2008. Fixed in 26a3e99160c. Seen: the diff.
//!
//! ```c
//! v = kmap(page);
//! clear(v);
//! kunmap(v);
//! ```
//!
//! It crashed, and the repair was to call `clear_highpage()`, which was there. So it is here; and an address does not unmap.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Nobody is to read what was in a page that goes back to the hypervisor.
fn scrub_page(task: &mut Task<'_>, page: &mut Frame) {
    let (mut v, _task) = kmap(task, page).unwrap();
    v.fill(0);
    kunmap(v.address());
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 0, b"secret");
    thread(|task| scrub_page(task, &mut page));
    assert_eq!(get(&page, 0), [0; 6]);
}
