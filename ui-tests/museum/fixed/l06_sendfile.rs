//! The file takes the page, and maps it beside its own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct File {
    page: Frame,
    pos: usize,
}

impl File {
    fn sendpage(&mut self, task: &mut Task<'_>, page: &Frame, offset: usize, size: usize) -> Option<usize> {
        let (mut to, from, _task) = kmap_pair(task, &mut self.page, page).ok()?;
        to[self.pos..self.pos + size].copy_from_slice(&from[offset..offset + size]);
        self.pos += size;
        Some(size)
    }
}

fn file_send_actor(
    task: &mut Task<'_>,
    page: &Frame,
    (offset, size): (usize, usize),
    file: &mut File,
) -> Option<usize> {
    file.sendpage(task, page, offset, size)
}

fn main() {
    let (mut page, mut file) = (frame(0), File { page: frame(1), pos: 2 });
    thread(|task| {
        kmap_atomic(task.atomic().slots().user0, &mut page)[..4].copy_from_slice(b"send");
        assert_eq!(file_send_actor(task, &page, (1, 3), &mut file), Some(3));
        assert_eq!(kmap_atomic(task.atomic().slots().user0, &file.page)[..6], *b"\0\0end\0");
    });
}
