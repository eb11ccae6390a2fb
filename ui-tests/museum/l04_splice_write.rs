//! L04, splice: all buffers of a pipe are mapped for one write.
//!
//! Linux, `fs/splice.c`, 2009. Fixed in b2858d7d163. Seen: the diff.
//!
//! ```c
//! writev(); /* over n kmapped buffers */
//! ```
//!
//! Whoever maps n buffers one after the other holds up to n - 1 entries while it waits. Here the task that comes back with a
//! mapping cannot wait for another.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/pipe.rs"]
mod pipe;
use pipe::*;

fn vfs_writev(_task: &mut MaySleep<'_>, file: &mut Vec<u8>, vec: &[&[u8]]) -> usize {
    vec.iter().map(|data| file.extend(*data)).count()
}

fn default_file_splice_write(task: &mut Task<'_>, pipe: &[PipeBuffer; 2], file: &mut Vec<u8>) -> Result<usize, Error> {
    let [first, second] = pipe;
    let (one, task) = kmap(task, &first.page).map_err(|_| Error::Interrupted)?;
    let (other, task) = kmap(task, &second.page).map_err(|_| Error::Interrupted)?;
    let vec = [&one[first.offset..][..first.len], &other[second.offset..][..second.len]];
    Ok(vfs_writev(task, file, &vec))
}

fn main() {
    let (pipe, mut file) = (pipe(3), Vec::new());
    thread(|task| assert_eq!(default_file_splice_write(task, &pipe, &mut file), Ok(2)));
    assert_eq!(file, [0, 0, 0, 1, 1, 1]);
}
