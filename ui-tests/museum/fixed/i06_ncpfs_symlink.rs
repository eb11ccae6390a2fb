//! What was mapped is unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/page_cache.rs"]
mod page_cache;
use page_cache::*;

type Link<'cx, 'i> = Kmap<'cx, MyKernel, GotPage<'i>>;

fn page_follow_link<'cx, 'i>(task: &'cx mut Task<'_>, inode: &'i PageCache) -> Option<Link<'cx, 'i>> {
    kmap(task, inode.find_get_page(0)?).ok().map(|(link, _task)| link)
}

fn page_put_link(link: Link<'_, '_>) {
    kunmap(link);
}

fn vfs_readlink(task: &mut Task<'_>, inode: &PageCache) -> Option<Vec<u8>> {
    let link = page_follow_link(task, inode)?;
    let target = link.iter().copied().take_while(|&byte| byte != 0).collect();
    page_put_link(link);
    Some(target)
}

fn main() {
    let inode = PageCache::new().with(0, 0, b"../target");
    thread(|task| assert_eq!(vfs_readlink(task, &inode).unwrap(), b"../target"));
    assert_eq!(inode.users(), 0);
}
