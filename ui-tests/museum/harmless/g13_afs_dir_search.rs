//! G13, afs: a search of a directory that finds its entry leaves the block mapped.
//!
//! Linux, `fs/afs/dir_search.c`, 2026. Fixed in 950ae84b5cc9. Seen: its title.
//!
//! ```c
//! blk = map();
//! if (found)
//!         goto out;
//! unmap(blk);
//! out:
//!         return;
//! ```
//!
//! One of the ways out of the loop jumps past the unmap. Here the guard is a variable of the loop, and every way out drops it:
//! impossible to express.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/dir.rs"]
mod dir;
#[path = "../fixtures/page_cache.rs"]
mod page_cache;
use dir::*;
use page_cache::*;

fn afs_dir_search<D: Depth + Room<Nested, InTask, 1>>(
    local: &mut Local<'_, Nested, InTask, D>,
    dir: &PageCache,
    wanted: &Name,
) -> Option<u32> {
    for index in 0.. {
        let (block, _) = kmap_local_page(local, dir.find_get_page(index)?);
        if let Some(inode) = find_entry(&block[..], wanted) {
            return Some(inode);
        }
        kunmap_local(block);
    }
    None
}

fn main() {
    let dir = PageCache::new().with(0, 0, &entry(5, &name("a"))).with(2, 32, &entry(7, &name("b")));
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _task) = pinned.local();
        for (wanted, found) in [("a", Some(5)), ("b", Some(7)), ("c", None)] {
            assert_eq!(afs_dir_search(&mut local, &dir, &name(wanted)), found);
            assert_eq!(dir.users(), 0, "a page that is mapped has a user");
        }
    });
}
