//! All pages are taken at once, and whoever waits holds none.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn vfs_readv(file: &[u8], vec: &mut [Kmap<'_, MyKernel, &mut Frame>]) -> usize {
    vec.iter_mut().zip(file.chunks(2)).map(|(to, data)| to[..data.len()].copy_from_slice(data)).count()
}

fn default_file_splice_read(task: &mut Task<'_>, file: &[u8], pages: &mut [Frame; 2]) -> Result<usize, ()> {
    let (mut vec, _task) = kmap_all(task, pages.each_mut()).map_err(|_| ())?;
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
