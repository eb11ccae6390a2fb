//! H04, vmsplice: a label unmaps the buffer, and who jumps there has done so.
//!
//! Linux, `fs/splice.c`, 2007. Fixed in 6866bef40d0. Seen: the diff.
//!
//! ```c
//! if (copied_atomically) {
//!         buf->ops->unmap(pipe, buf, src);
//!         goto out;
//! }
//! /* ... */
//! out:
//!         buf->ops->unmap(pipe, buf, src);
//! ```
//!
//! A copy that does not fault takes the fast path, which ended in a BUG of `highmem.c`. Here the label has no guard when the jump
//! comes from there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/pipe.rs"]
mod pipe;
use pipe::*;

fn pipe_to_user(task: &mut Task<'_>, buf: &PipeBuffer, sd: &SpliceDesc) -> Result<usize, Error> {
    let src;
    let data = buf.offset..buf.offset + buf.len;
    let ret = 'out: {
        {
            let mut atomic = task.atomic();
            let fast = buf.map_atomic(atomic.slots().user0);
            let left = copy_to_user_inatomic(&mut sd.user()?, &fast[data.clone()]);
            kunmap_atomic(fast);
            if left.is_ok() {
                break 'out Ok(buf.len);
            }
        }
        let rest;
        (src, rest) = buf.map(task)?;
        copy_to_user(rest, &mut sd.user()?, &src[data]).map(|()| buf.len).map_err(|_| Error::Fault)
    };
    kunmap(src);
    ret
}

fn main() {
    let [buf] = pipe(64);
    thread(|task| {
        let mut to_user = |userptr| pipe_to_user(task, &buf, &SpliceDesc { userptr, total_len: 64 });
        assert_eq!(to_user(0x1000), Ok(64));
        assert_eq!(to_user(0x1ff0), Err(Error::Fault));
    });
}
