//! B04, Xen's show_guest_stack: the cursor that printed the stack is unmapped, and it is in the next page.
//!
//! Xen, `xen/arch/x86/traps.c`, 2020. Fixed in 2e3d87cc73 (xen). Seen: the diff.
//!
//! ```c
//! s = map_domain_page(mfn);
//! while (...)
//!         print(*s++);
//! unmap_domain_page(s);
//! ```
//!
//! At the end of the page, another slot was unmapped, and the cache of mappings was corrupt. Here the cursor is an iterator over the guard's
//! bytes, and no mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Prints the words of a guest's stack, from `sp` to the end of its page.
fn show_guest_stack(slot: Slot<'_, MyKernel, User0>, page: &Frame, sp: usize) -> String {
    let mut text = String::new();
    let mapped = kmap_atomic(slot, page);
    let mut stack = mapped[sp % 4096..].chunks_exact(4);
    while let Some(word) = stack.next() {
        text += &format!(" {:08x}", u32::from_le_bytes(word.try_into().unwrap()));
    }
    kunmap_atomic(stack);
    text
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 4088, &[1, 0, 0, 0, 0xef, 0xbe, 0xad, 0xde]);
    let text = thread(|task| show_guest_stack(task.atomic().slots().user0, &page, 0x7fff_fff8));
    assert_eq!(text, " 00000001 deadbeef");
}
