//! The page is mapped in the pool, under which locks may be waited for.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/ecryptfs.rs"]
mod ecryptfs;
use ecryptfs::*;

fn ecryptfs_copy_up_encrypted_with_header(task: &mut Task<'_>, page: &mut Frame, inode: &Inode) {
    let (mut page_virt, task) = kmap(task, page).expect("this kernel does not interrupt waits");
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
