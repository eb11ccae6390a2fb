//! G04, kdump: an early return leaves a page of the old kernel mapped.
//!
//! Linux, `arch/x86/kernel/crash_dump_32.c`, 2007. Fixed in 22124c9999f. Seen: the diff.
//!
//! ```c
//! v = kmap_atomic_pfn(pfn, KM_PTE0);
//! if (!buf)
//!         return -EFAULT;
//! ```
//!
//! The buffer is looked at when the page is mapped already, and the return forgets the page. Here the return drops the guard, which
//! unmaps: what went wrong is impossible to express.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/page_cache.rs"]
mod page_cache;
use page_cache::*;

#[derive(Debug, PartialEq)]
enum Error {
    Fault,
    Invalid,
}

fn copy_oldmem_page(
    task: &mut Task<'_>,
    oldmem: &PageCache,
    (pfn, offset): (usize, usize),
    user_buf: &mut [u8],
    kdump_buf_page: Option<&mut PageBytes>,
) -> Result<usize, Error> {
    let page = oldmem.find_get_page(pfn).ok_or(Error::Invalid)?;
    let mut atomic = task.atomic();
    let vaddr = kmap_atomic(atomic.slots().pte0, page);
    let Some(buf) = kdump_buf_page else {
        return Err(Error::Fault);
    };
    buf.copy_from_slice(&vaddr[..]);
    drop(vaddr);
    let size = user_buf.len();
    user_buf.copy_from_slice(&buf[offset..offset + size]);
    Ok(size)
}

fn main() {
    let oldmem = PageCache::new().with(2, 8, b"panic");
    let (mut buf, mut kdump_buf_page) = ([0; 5], [0; highmem::PAGE_SIZE]);
    thread(|task| {
        assert_eq!(copy_oldmem_page(task, &oldmem, (2, 8), &mut buf, None), Err(Error::Fault));
        assert_eq!(oldmem.users(), 0, "a page that is mapped has a user");
        assert_eq!(copy_oldmem_page(task, &oldmem, (2, 8), &mut buf, Some(&mut kdump_buf_page)), Ok(5));
    });
    assert_eq!(&buf, b"panic");
}
