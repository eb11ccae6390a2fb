//! L06, sendfile: a file system writes from a page that is mapped, and maps its own.
//!
//! Linux, `mm/filemap.c`, 2002. Fixed in 3617d2702d (history before git). Seen: the diff.
//!
//! ```c
//! k = kmap(pg);
//! f->write(f, k, n);
//! kunmap(pg); /* nested kmaps, unbounded */
//! ```
//!
//! What the write of any file maps beneath, nobody counts. The fix lets only those files be a target that take a page. Here a
//! function that may map takes a `&mut Task`, which its caller does not have under a mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct File {
    page: Frame,
    pos: usize,
}

impl File {
    fn write(&mut self, task: &mut Task<'_>, data: &[u8]) -> Option<usize> {
        let (mut kaddr, _task) = kmap(task, &mut self.page).ok()?;
        kaddr[self.pos..self.pos + data.len()].copy_from_slice(data);
        self.pos += data.len();
        Some(data.len())
    }
}

fn file_send_actor(
    task: &mut Task<'_>,
    page: &Frame,
    (offset, size): (usize, usize),
    file: &mut File,
) -> Option<usize> {
    let (kaddr, task) = kmap(task, page).ok()?;
    file.write(task, &kaddr[offset..offset + size])
}

fn main() {
    let (mut page, mut file) = (frame(0), File { page: frame(1), pos: 2 });
    thread(|task| {
        kmap_atomic(task.atomic().slots().user0, &mut page)[..4].copy_from_slice(b"send");
        assert_eq!(file_send_actor(task, &page, (1, 3), &mut file), Some(3));
        assert_eq!(kmap_atomic(task.atomic().slots().user0, &file.page)[..6], *b"\0\0end\0");
    });
}
