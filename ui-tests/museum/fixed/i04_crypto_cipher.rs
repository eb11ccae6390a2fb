//! How far the work has gone is a number, and a new mapping has a place of its own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/walk.rs"]
mod walk;
use walk::*;

fn crypto_yield(task: &mut NestedMaySleepHere<'_>) {
    sleep_here(task);
}

/// Encrypts two blocks of a page, from `coff` on, and lets others run in between.
fn crypt<D: Depth>(
    (local, task): (&mut Local<'_, Nested, InTask, D>, &mut NestedMaySleepHere<'_>),
    (page, coff): (&Frame, usize),
    dst: &mut [u8; 2 * BLOCK],
) {
    let (mapped, _) = kmap_local_page(local, page);
    let p = &mapped[coff..];
    encrypt_block(&mut dst[..BLOCK], &p[..BLOCK]);
    let (slot, _) = kunmap_local(mapped);
    crypto_yield(task);
    let mapped = kmap_atomic(slot, page);
    let p = &mapped[coff + BLOCK..];
    encrypt_block(&mut dst[BLOCK..], &p[..BLOCK]);
}

fn main() {
    let (mut page, mut dst) = (frame(0), [0; 2 * BLOCK]);
    fill(&mut page, 0);
    interrupt(|irq| kmap_atomic(irq.slots().irq0, &mut page)[4096 - BLOCK] = 0xff);
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, task) = pinned.local();
        crypt((&mut local, task), (&page, 4096 - 2 * BLOCK), &mut dst);
    });
    assert_eq!((dst[0], dst[BLOCK - 1], dst[BLOCK], dst[BLOCK + 1]), (0x5a, 0x5a, 0xa5, 0x5a));
}
