//! Each path has a mapping of its own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/pipe.rs"]
mod pipe;
use pipe::*;

fn pipe_to_user(task: &mut Task<'_>, buf: &PipeBuffer, sd: &SpliceDesc) -> Result<usize, Error> {
    let data = buf.offset..buf.offset + buf.len;
    {
        let mut atomic = task.atomic();
        let src = buf.map_atomic(atomic.slots().user0);
        if copy_to_user_inatomic(&mut sd.user()?, &src[data.clone()]).is_ok() {
            return Ok(buf.len);
        }
    }
    let (src, task) = buf.map(task)?;
    copy_to_user(task, &mut sd.user()?, &src[data]).map(|()| buf.len).map_err(|_| Error::Fault)
}

fn main() {
    let [buf] = pipe(64);
    thread(|task| {
        let mut to_user = |userptr| pipe_to_user(task, &buf, &SpliceDesc { userptr, total_len: 64 });
        assert_eq!(to_user(0x1000), Ok(64));
        assert_eq!(to_user(0x1ff0), Err(Error::Fault));
    });
}
