//! H09, afs: the first block of a directory is unmapped where an entry is added, and at the end again.
//!
//! Linux, `fs/afs/dir_edit.c`, 2026. Fixed in e3cfd3eb7d5b. Seen: its title.
//!
//! ```c
//! unmap(b0);
//! /* ... */
//! out:
//!         unmap(b0);
//! ```
//!
//! The pointer stays what it was when its mapping is gone. Here it is moved into the unmap.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/dir.rs"]
mod dir;
use dir::*;

/// The first block counts the entries of all, in its last bytes.
pub const COUNT: usize = 4095;

fn afs_edit_dir_add<D: Depth + Room<Nested, InTask, 2>>(
    local: &mut Local<'_, Nested, InTask, D>,
    [meta, blocks @ ..]: &mut [Frame; 3],
    (inode, new): (u32, &Name),
) -> Result<(), Error> {
    let (mut meta, mut local) = kmap_local_page(local, meta);
    let mut result = Err(Error::NoSpace);
    for block in blocks {
        let (mut block, _) = kmap_local_page(&mut local, block);
        result = set_entry(&mut block[..], inode, new);
        if result.is_ok() {
            break;
        }
    }
    if result.is_ok() {
        meta[COUNT] += 1;
        kunmap_local(meta);
    }
    kunmap_local(meta);
    result
}

fn main() {
    let mut dir = [frame(0), frame(1), frame(2)];
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _task) = pinned.local();
        for inode in 1..4 {
            assert_eq!(afs_edit_dir_add(&mut local, &mut dir, (inode, &name("a"))), Ok(()));
        }
        assert_eq!(kmap_local_page(&mut local, &dir[0]).0[COUNT], 3);
        assert_eq!(find_entry(&kmap_local_page(&mut local, &dir[1]).0[..], &name("a")), Some(1));
    });
}
