//! G10, nvmet-tcp: the buffers of a command stay mapped when a digest follows its data.
//!
//! Linux, `drivers/nvme/target/tcp.c`, 2021. Fixed in bac04454ef9f. Seen: its title.
//!
//! ```c
//! nvmet_tcp_map_pdu_iovec(cmd);
//! /* on receiving data; the path with a digest completes without an unmap */
//! ```
//!
//! One function maps, another unmaps when the data are complete, and a third, which checks the digest, completes the command as
//! well. Here the mapping in a command holds the task, and who receives the next command cannot map its buffer.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct NvmetTcpCmd<'cx> {
    req: usize,
    iov: Option<Kmap<'cx, MyKernel, SharedFrame>>,
    done: bool,
}

fn nvmet_tcp_map_pdu_iovec<'cx>(task: &'cx mut Task<'_>, cmd: &mut NvmetTcpCmd<'cx>, page: SharedFrame) {
    cmd.iov = kmap(task, page).ok().map(|(iov, _task)| iov);
}

fn nvmet_tcp_try_recv_data(cmd: &mut NvmetTcpCmd<'_>, data: &[u8], data_digest: bool) {
    let iov = cmd.iov.as_mut().unwrap();
    iov.write_at(0, data).unwrap();
    if data_digest {
        return;
    }
    cmd.iov = None;
    cmd.done = true;
}

fn nvmet_tcp_try_recv_ddgst(cmd: &mut NvmetTcpCmd<'_>) {
    cmd.done = true;
}

fn nvmet_tcp_io_work(task: &mut Task<'_>, pages: Vec<SharedFrame>) -> usize {
    let mut cmds = Vec::new();
    for (req, page) in pages.into_iter().enumerate() {
        let mut cmd = NvmetTcpCmd { req, iov: None, done: false };
        nvmet_tcp_map_pdu_iovec(task, &mut cmd, page);
        nvmet_tcp_try_recv_data(&mut cmd, b"data", true);
        nvmet_tcp_try_recv_ddgst(&mut cmd);
        cmds.push(cmd);
    }
    cmds.iter().filter(|cmd| cmd.done).count()
}

fn main() {
    thread(|task| assert_eq!(nvmet_tcp_io_work(task, vec![user_frame(0), user_frame(1)]), 2));
}
