//! H03, NFS readdir: the error path of the filler unmaps what is not mapped.
//!
//! Linux, `fs/nfs/dir.c`, 2002. Fixed in 78dfaef8a9 (history before git). Seen: the diff.
//!
//! ```c
//! error:
//!         SetPageError(page);
//!         kunmap(page); /* nothing mapped */
//! ```
//!
//! The filler had mapped the page once, and the unmap on its error path outlived that. With `kunmap(page)`, any page will do; here
//! it wants the guard, and there is none.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::memcpy_to_page;

pub const EIO: i32 = 5;

struct PageState {
    page: Frame,
    error: bool,
    uptodate: bool,
}

fn nfs_readdir(task: &mut Task<'_>, reply: Result<&[u8], i32>, page: &mut Frame) -> Result<(), i32> {
    let mut atomic = task.atomic();
    memcpy_to_page(atomic.slots().user0, page, 0, reply?).map_err(|_| EIO)
}

fn nfs_readdir_filler(task: &mut Task<'_>, state: &mut PageState, reply: Result<&[u8], i32>) -> Result<(), i32> {
    let PageState { page, error, uptodate } = state;
    match nfs_readdir(task, reply, page) {
        Ok(()) => {
            *uptodate = true;
            Ok(())
        }
        Err(err) => {
            *error = true;
            kunmap(page);
            Err(err)
        }
    }
}

fn main() {
    let mut state = PageState { page: frame(0), error: false, uptodate: false };
    thread(|task| {
        assert_eq!(nfs_readdir_filler(task, &mut state, Err(EIO)), Err(EIO));
        assert!(state.error && !state.uptodate);
        assert_eq!(nfs_readdir_filler(task, &mut state, Ok(b"entries")), Ok(()));
        assert!(state.uptodate);
        assert_eq!(kmap_atomic(task.atomic().slots().user0, &state.page)[..7], *b"entries");
    });
}
