//! One write for each buffer.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/pipe.rs"]
mod pipe;
use pipe::*;

fn vfs_write(_task: &mut MaySleep<'_>, file: &mut Vec<u8>, data: &[u8]) -> usize {
    file.extend(data);
    1
}

fn default_file_splice_write(task: &mut Task<'_>, pipe: &[PipeBuffer; 2], file: &mut Vec<u8>) -> Result<usize, Error> {
    let mut written = 0;
    for buf in pipe {
        let (data, task) = buf.map(task)?;
        written += vfs_write(task, file, &data[buf.offset..][..buf.len]);
    }
    Ok(written)
}

fn main() {
    let (pipe, mut file) = (pipe(3), Vec::new());
    thread(|task| assert_eq!(default_file_splice_write(task, &pipe, &mut file), Ok(2)));
    assert_eq!(file, [0, 0, 0, 1, 1, 1]);
}
