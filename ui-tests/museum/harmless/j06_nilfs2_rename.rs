//! J06, nilfs2: a rename ends the mappings of two directories in the order in which it made them.
//!
//! Linux, `fs/nilfs2/namei.c`, 2024. Changed in 8cf57c6df818 (which 9614d8bee663 cites as a fix of the order). Seen: its title.
//!
//! ```c
//! a = get_dir();
//! b = get_dir2();
//! /* ... */
//! put(a);
//! put(b);
//! ```
//!
//! Mappings that are made and ended in different functions cross without anybody's noticing. Here they may.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/dir.rs"]
mod dir;
use dir::*;

/// The entry of a directory that leads to its parent.
const DOTDOT: usize = ENTRY;

fn nilfs_set_link(block: &mut [u8], at: usize, inode: u32, name: &Name) {
    block[at..at + ENTRY].copy_from_slice(&entry(inode, name));
}

/// Moves a directory: its entry to `new_dir`, and the entry for its parent.
fn nilfs_rename<D: Depth + Room<Nested, InTask, 2>>(
    local: &mut Local<'_, Nested, InTask, D>,
    (old_inode, new_dir): (&mut Frame, &mut Frame),
    (inode, parent, new_name): (u32, u32, &Name),
) -> Result<(), Error> {
    let (mut new_page, mut local) = kmap_local_page(local, new_dir);
    let (mut dir_page, _) = kmap_local_page(&mut local, old_inode);
    set_entry(&mut new_page[..], inode, new_name)?;
    kunmap_local(new_page);
    nilfs_set_link(&mut dir_page[..], DOTDOT, parent, &name(".."));
    kunmap_local(dir_page);
    Ok(())
}

fn main() {
    let (mut moved, mut new_dir) = (frame(0), frame(1));
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _task) = pinned.local();
        kmap_local_page(&mut local, &mut moved).0[DOTDOT..][..ENTRY].copy_from_slice(&entry(2, &name("..")));
        nilfs_rename(&mut local, (&mut moved, &mut new_dir), (12, 3, &name("new"))).unwrap();
        assert_eq!(find_entry(&kmap_local_page(&mut local, &moved).0[..], &name("..")), Some(3));
        assert_eq!(find_entry(&kmap_local_page(&mut local, &new_dir).0[..], &name("new")), Some(12));
    });
}
