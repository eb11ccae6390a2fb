//! Both at once, or none.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn lo_read_transfer(task: &mut Task<'_>, raw_page: &Frame, loop_page: &mut Frame, key: u8) -> Option<()> {
    let (raw_buf, mut loop_buf, _task) = kmap_pair(task, raw_page, loop_page).ok()?;
    loop_buf.iter_mut().zip(raw_buf.iter()).for_each(|(to, from)| *to = from ^ key);
    Some(())
}

fn main() {
    let (raw_page, mut loop_page) = (frame(0), frame(1));
    thread(|task| {
        lo_read_transfer(task, &raw_page, &mut loop_page, 0x55).unwrap();
        assert_eq!(*kmap_atomic(task.atomic().slots().user0, &loop_page), [0x55; 4096]);
    });
}
