//! I06, ncpfs: the end of a symbolic link looks its page up again, and unmaps what it finds.
//!
//! Linux, `fs/namei.c`, 2005. Fixed in cc314eef012. Seen: the diff.
//!
//! ```c
//! /* follow_link: */
//! p = get_page(idx);
//! kmap(p);
//! /* put_link: */
//! p = find_get_page(idx);
//! kunmap(p);
//! ```
//!
//! Between the two, the page that belongs to the number may have become another. Here only the guard unmaps, and it has to be
//! handed on: it is the cookie that the fix passes from one to the other.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/page_cache.rs"]
mod page_cache;
use page_cache::*;

type Link<'cx, 'i> = Kmap<'cx, MyKernel, GotPage<'i>>;

fn page_follow_link<'cx, 'i>(task: &'cx mut Task<'_>, inode: &'i PageCache) -> Option<Link<'cx, 'i>> {
    kmap(task, inode.find_get_page(0)?).ok().map(|(link, _task)| link)
}

fn page_put_link(inode: &PageCache) {
    if let Some(page) = inode.find_get_page(0) {
        kunmap(page);
    }
}

fn vfs_readlink(task: &mut Task<'_>, inode: &PageCache) -> Option<Vec<u8>> {
    let link = page_follow_link(task, inode)?;
    let target = link.iter().copied().take_while(|&byte| byte != 0).collect();
    page_put_link(inode);
    Some(target)
}

fn main() {
    let inode = PageCache::new().with(0, 0, b"../target");
    thread(|task| assert_eq!(vfs_readlink(task, &inode).unwrap(), b"../target"));
    assert_eq!(inode.users(), 0);
}
