//! A18, i915's debugfs: the repair of one bug was this bug.
//!
//! Linux, `drivers/gpu/drm/i915/i915_debugfs.c`, 2009. Introduced in ba86bf8bfc1, fixed in 656cb793223. Seen: the diff.
//!
//! ```c
//! - kunmap(pages[i]);
//! + kunmap_atomic(pages[i], KM_USER0);   /* by rote */
//! ```
//!
//! `kmap()` slept where it must not, so it became `kmap_atomic()`; two months later it was seen that unmap wants something else now. Here both
//! want the guard.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Prints the first words of each page of an object.
fn i915_dump_pages(m: &mut String, slot: &mut Slot<'_, MyKernel, User0>, pages: &[Frame]) {
    for (i, page) in pages.iter().enumerate() {
        let mem = kmap_atomic(slot.reborrow(), page);
        for (offset, word) in mem.view_slice::<u32>(0, 2).unwrap().iter().enumerate() {
            *m += &format!("{:08x} : {word:08x}\n", i * 4096 + offset * 4);
        }
        kunmap_atomic(&pages[i]);
    }
}

fn main() {
    let mut pages = [frame(0), frame(1)];
    put(&mut pages[1], 4, &0x0200_0000_u32.to_le_bytes());
    let mut text = String::new();
    thread(|task| i915_dump_pages(&mut text, &mut task.atomic().slots().user0, &pages));
    assert_eq!(text.lines().last(), Some("00001004 : 02000000"));
}
