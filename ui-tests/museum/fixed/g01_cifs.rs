//! The write has its mapping, which ends with it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

pub const EBADF: i32 = 9;
pub const EIO: i32 = 5;

struct File {
    written: Vec<u8>,
}

fn cifs_write(_task: &mut MaySleep<'_>, file: &mut File, data: &[u8]) -> usize {
    file.written.extend(data);
    data.len()
}

fn cifs_partialpagewrite(
    task: &mut Task<'_>,
    page: &Frame,
    (from, to): (usize, usize),
    open_file: Option<&mut File>,
) -> Result<usize, i32> {
    if from > to || to > highmem::PAGE_SIZE {
        return Err(EIO);
    }
    let (write_data, task) = kmap(task, page).map_err(|_| EIO)?;
    let file = open_file.ok_or(EBADF)?;
    Ok(cifs_write(task, file, &write_data[from..to]))
}

fn main() {
    let (page, mut file) = (frame(0), File { written: Vec::new() });
    thread(|task| {
        assert_eq!(cifs_partialpagewrite(task, &page, (1, 4), Some(&mut file)), Ok(3));
        assert_eq!(cifs_partialpagewrite(task, &page, (1, 4), None), Err(EBADF));
    });
    assert_eq!(file.written, [0; 3]);
}
