//! B01, NFS cached lookup: the decoder had advanced the pointer that was unmapped.
//!
//! Linux, `fs/nfs/dir.c`, 2003. Fixed in 8f44c5c2a3 (history before git). Seen: the diff.
//!
//! ```c
//! d.ptr = kmap_atomic(page, KM_USER0);
//! find(&d);                        /* walks d.ptr, can leave page */
//! kunmap_atomic(d.ptr, KM_USER0);
//! ```
//!
//! Within the page, any address unmaps it; at its end, the pointer is in the next slot. Here the decoder has a borrow of the bytes, which
//! goes where it likes in them, and does not unmap.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// What decodes entries, and where it has got to.
struct Readdir<'a> {
    ptr: &'a [u8],
}

impl Readdir<'_> {
    /// The number of a file, whose name comes with its length before it.
    fn find(&mut self, wanted: &[u8]) -> Option<u8> {
        while let [file, len, rest @ ..] = self.ptr
            && *len > 0
        {
            let (name, rest) = rest.split_at(usize::from(*len));
            self.ptr = rest;
            if name == wanted {
                return Some(*file);
            }
        }
        None
    }
}

fn nfs_cached_lookup(slot: Slot<'_, MyKernel, User0>, page: &Frame, name: &[u8]) -> Option<u8> {
    let mapped = kmap_atomic(slot, page);
    let mut desc = Readdir { ptr: &mapped[..] };
    let found = desc.find(name);
    kunmap_atomic(desc.ptr);
    found
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 0, b"\x07\x03bin\x08\x04boot");
    thread(|task| {
        let mut atomic = task.atomic();
        assert_eq!(nfs_cached_lookup(atomic.slots().user0, &page, b"boot"), Some(8));
        assert_eq!(nfs_cached_lookup(atomic.slots().user0, &page, b"etc"), None);
    });
}
