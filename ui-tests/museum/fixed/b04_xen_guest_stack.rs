//! The guard is unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Prints the words of a guest's stack, from `sp` to the end of its page.
fn show_guest_stack(slot: Slot<'_, MyKernel, User0>, page: &Frame, sp: usize) -> String {
    let mut text = String::new();
    let mapped = kmap_atomic(slot, page);
    for word in mapped[sp % 4096..].chunks_exact(4) {
        text += &format!(" {:08x}", u32::from_le_bytes(word.try_into().unwrap()));
    }
    kunmap_atomic(mapped);
    text
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 4088, &[1, 0, 0, 0, 0xef, 0xbe, 0xad, 0xde]);
    let text = thread(|task| show_guest_stack(task.atomic().slots().user0, &page, 0x7fff_fff8));
    assert_eq!(text, " 00000001 deadbeef");
}
