//! C03, btrfs: a copy maps its target in the slot in which the function that it calls maps the source.
//!
//! Linux, `fs/btrfs/extent_map.c`, 2007. Fixed in ff190c0c004. Seen: the diff.
//!
//! ```c
//! k = kmap_atomic(p, KM_USER1);
//! read_eb(src, k);                 /* read_eb maps with KM_USER1 */
//! ```
//!
//! The callee had been moved to `KM_USER1` by the fix of another nesting (59d169e2b3d), and the bytes went from the source page to itself.
//! Here the callee takes the token of the slot that it uses, and the caller has already given that one away.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/extent_buffer.rs"]
mod extent_buffer;
use extent_buffer::*;

fn copy_extent_buffer(
    atomic: &mut Atomic<'_, MyKernel>,
    (dst, dst_offset): (&mut ExtentBuffer, usize),
    (src, src_offset): (&ExtentBuffer, usize),
    len: usize,
) {
    let mut slots = atomic.slots();
    let mut done = 0;
    while done < len {
        let (i, offset) = ((dst_offset + done) / PAGE_CACHE_SIZE, (dst_offset + done) % PAGE_CACHE_SIZE);
        let cur = (len - done).min(PAGE_CACHE_SIZE - offset);
        let mut kaddr = kmap_atomic(slots.user1.reborrow(), &mut dst.pages[i]);
        read_extent_buffer(slots.user1.reborrow(), src, &mut kaddr[offset..][..cur], src_offset + done);
        done += cur;
    }
}

fn main() {
    let mut src = ExtentBuffer { pages: vec![frame(0), frame(1)] };
    let mut dst = ExtentBuffer { pages: vec![frame(2), frame(3)] };
    put(&mut src.pages[0], 4092, b"leaf");
    put(&mut src.pages[1], 0, b"item");
    thread(|task| copy_extent_buffer(&mut task.atomic(), (&mut dst, 4090), (&src, 4092), 8));
    assert_eq!(get(&dst.pages[0], 4090), *b"leafit");
    assert_eq!(get(&dst.pages[1], 0), *b"em");
}
