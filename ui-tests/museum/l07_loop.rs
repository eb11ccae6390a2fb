//! L07, loop, bounce, NFS: all entries of the pool are held by tasks that wait for a second one.
//!
//! Linux, `mm/highmem.c`, 2001 to 2002. LKML of the time of 2.4. From memory.
//!
//! ```c
//! /* each of N tasks: */
//! a = kmap(x); /* ok */
//! b = kmap(y); /* waits forever */
//! ```
//!
//! Each task is right by itself; when as many run as there are entries, none goes on. Here the task that has `a` cannot ask for
//! `b`: it takes both at once.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn lo_read_transfer(task: &mut Task<'_>, raw_page: &Frame, loop_page: &mut Frame, key: u8) -> Option<()> {
    let (raw_buf, task) = kmap(task, raw_page).ok()?;
    let (mut loop_buf, _task) = kmap(task, loop_page).ok()?;
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
