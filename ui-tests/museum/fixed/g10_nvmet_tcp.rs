//! The command has its page, which is mapped while data arrive.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct NvmetTcpCmd {
    req: usize,
    page: SharedFrame,
    done: bool,
}

fn nvmet_tcp_try_recv_data(task: &mut Task<'_>, cmd: &mut NvmetTcpCmd, data: &[u8], data_digest: bool) {
    let (mut iov, _task) = kmap(task, &mut cmd.page).unwrap();
    iov.write_at(0, data).unwrap();
    cmd.done = !data_digest;
}

fn nvmet_tcp_try_recv_ddgst(cmd: &mut NvmetTcpCmd) {
    cmd.done = true;
}

fn nvmet_tcp_io_work(task: &mut Task<'_>, pages: Vec<SharedFrame>) -> usize {
    let mut cmds = Vec::new();
    for (req, page) in pages.into_iter().enumerate() {
        let mut cmd = NvmetTcpCmd { req, page, done: false };
        nvmet_tcp_try_recv_data(task, &mut cmd, b"data", true);
        nvmet_tcp_try_recv_ddgst(&mut cmd);
        cmds.push(cmd);
    }
    cmds.iter().filter(|cmd| cmd.done).count()
}

fn main() {
    thread(|task| assert_eq!(nvmet_tcp_io_work(task, vec![user_frame(0), user_frame(1)]), 2));
}
