//! Unmapped before the failure is looked at, and not behind it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

pub const EFAULT: i32 = 14;
pub const EINTR: i32 = 4;

/// The bytes written, or what was written before the fault.
fn shmem_file_write(task: &mut Task<'_>, pages: &mut [Frame], offset: usize, buf: UserSlice) -> Result<usize, i32> {
    let (mut written, mut reader) = (0, buf.reader());
    for page in pages {
        let bytes = 64;
        let (mut kaddr, task) = kmap(task, page).map_err(|_| EINTR)?;
        let err = copy_from_user(task, &mut kaddr[offset..offset + bytes], &mut reader);
        kunmap(kaddr);
        if err.is_err() {
            return if written > 0 { Ok(written) } else { Err(EFAULT) };
        }
        written += bytes;
    }
    Ok(written)
}

fn main() {
    let mut pages = [frame(0), frame(1)];
    thread(|task| {
        let mut write = |address, len| shmem_file_write(task, &mut pages, 0, UserSlice::new(address, len).unwrap());
        assert_eq!(write(0x1000, 128), Ok(128));
        assert_eq!(write(0x1fc0, 128), Ok(64));
        assert_eq!(write(0x2000, 128), Err(EFAULT));
    });
    interrupt(|irq| assert_eq!(kmap_atomic(irq.slots().irq0, &pages[1])[..65], [[1; 64].as_slice(), &[0]].concat()));
}
