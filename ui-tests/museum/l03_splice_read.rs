//! L03, splice: all pages of a read are mapped at once, one after the other.
//!
//! Linux, `fs/splice.c`, 2009. Fixed in 4f23122858a. Seen: the diff.
//!
//! ```c
//! for (i = 0; i < n; i++)
//!         vec[i] = kmap(page[i]);
//! read();
//! for (i = 0; i < n; i++)
//!         kunmap(page[i]);
//! ```
//!
//! Each task holds some entries while it waits for the next. The fix took pages that need no mapping. Here whoever holds an entry
//! cannot wait for another.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn vfs_readv(file: &[u8], vec: &mut [Kmap<'_, MyKernel, &mut Frame>]) -> usize {
    vec.iter_mut().zip(file.chunks(2)).map(|(to, data)| to[..data.len()].copy_from_slice(data)).count()
}

fn default_file_splice_read(task: &mut Task<'_>, file: &[u8], pages: &mut [Frame; 2]) -> Result<usize, ()> {
    let mut vec = Vec::new();
    for page in pages {
        let (mapped, _task) = kmap(task, page).map_err(|_| ())?;
        vec.push(mapped);
    }
    Ok(vfs_readv(file, &mut vec))
}

fn main() {
    let mut pages = [frame(0), frame(1)];
    thread(|task| {
        assert_eq!(default_file_splice_read(task, b"abc", &mut pages), Ok(2));
        let mut atomic = task.atomic();
        assert_eq!(kmap_atomic(atomic.slots().user0, &pages[1])[..2], *b"c\0");
    });
}
