//! G01, CIFS: the page of a partial write is unmapped at the end, and had been in the branch.
//!
//! Linux, `fs/cifs/file.c`, 2003. Mended in four commits: 6b29b7bce6, db24bd97e7, fa5f64812b, c58d5359cb (history before git).
//! Seen: the diff.
//!
//! ```c
//! w = kmap(page);
//! if (!file)
//!         return -EBADF; /* leak */
//! /* ...later: */
//! if (!host) {
//!         kunmap(page);
//!         return;
//! }
//! w = kmap(page); /* extra */
//! ```
//!
//! First a return left the page mapped; the commits that mended it mapped it again and unmapped it once too often, until the last
//! of the four counted right. Here a return unmaps by itself, and the unmap that is too many uses a guard that is gone.
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
    let rc = match open_file {
        Some(file) => {
            let written = cifs_write(task, file, &write_data[from..to]);
            kunmap(write_data);
            Ok(written)
        }
        None => Err(EBADF),
    };
    kunmap(write_data);
    rc
}

fn main() {
    let (page, mut file) = (frame(0), File { written: Vec::new() });
    thread(|task| {
        assert_eq!(cifs_partialpagewrite(task, &page, (1, 4), Some(&mut file)), Ok(3));
        assert_eq!(cifs_partialpagewrite(task, &page, (1, 4), None), Err(EBADF));
    });
    assert_eq!(file.written, [0; 3]);
}
