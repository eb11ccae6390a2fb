//! E09, eCryptfs: an inode's lock is taken while a page is mapped atomically.
//!
//! Linux, `fs/ecryptfs/mmap.c`, 2007 to 2022. Reported by D. Carpenter, found by Smatch, ecryptfs list 2022-01-19. Seen: the text.
//!
//! ```c
//! v = kmap_atomic(pg);
//! rc = read_xattr(v, inode);       /* mutex */
//! kunmap_atomic(v);
//! ```
//!
//! It was there since 2007 (bf12be1cc851), until a tool that follows calls to what sleeps found it. Here the signatures say it on the way:
//! what takes a lock takes the task.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/ecryptfs.rs"]
mod ecryptfs;
use ecryptfs::*;

fn ecryptfs_copy_up_encrypted_with_header(task: &mut Task<'_>, page: &mut Frame, inode: &Inode) {
    let mut atomic = task.atomic();
    let mut page_virt = kmap_atomic(atomic.slots().user0, page);
    page_virt.fill(0);
    let size = getxattr_lower(task, inode, &mut page_virt[16..]);
    page_virt[..2].copy_from_slice(&u16::try_from(size).unwrap().to_be_bytes());
}

fn main() {
    let inode = Inode { xattr: b"marker".to_vec().into() };
    let mut page = frame(0);
    thread(|task| ecryptfs_copy_up_encrypted_with_header(task, &mut page, &inode));
    assert_eq!(get(&page, 0), *b"\0\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0marker\0");
}
