//! N01, cryptoloop: the page of a buffer is computed from its address, which is one of `kmap()`.
//!
//! Linux, `drivers/block/loop.c` and `cryptoloop.c`, 2004. Fixed in 3185e663d5 (history before git). Seen: the diff.
//!
//! ```c
//! /* loop */       raw = kmap(page) + offset;
//!                  transfer(raw, ...);
//! /* cryptoloop */ sg.page = virt_to_page(raw);
//! ```
//!
//! `virt_to_page()` is arithmetic, and right for the direct map alone. The repair was to hand page and offset on. Here bytes are no page, and
//! nothing makes one of them.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
use highmem::page::ReferencedMut;

/// What stands for a cipher: it maps what it is to work on by itself.
fn encrypt(
    slot: Slot<'_, MyKernel, User0>,
    page: impl Page<Paging = Pae, Access: ReferencedMut>,
    offset: usize,
    size: usize,
) {
    kmap_atomic(slot, page)[offset..][..size].iter_mut().for_each(|byte| *byte ^= 0x5a);
}

/// A transfer function of the loop device.
fn cryptoloop_transfer(task: &mut MaySleep<'_>, raw: &mut [u8]) {
    let size = raw.len();
    encrypt(task.atomic().slots().user0, raw, 0, size);
}

/// Writes a page to the file behind the device.
fn do_lo_send(task: &mut Task<'_>, page: &mut Frame, offset: usize, size: usize) {
    let (mut mapped, task) = kmap(task, page).unwrap();
    let raw = &mut mapped[offset..][..size];
    cryptoloop_transfer(task, raw);
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 512, b"plain");
    thread(|task| do_lo_send(task, &mut page, 512, 4));
    assert_eq!(get(&page, 512), [b'p' ^ 0x5a, b'l' ^ 0x5a, b'a' ^ 0x5a, b'i' ^ 0x5a, b'n']);
}
