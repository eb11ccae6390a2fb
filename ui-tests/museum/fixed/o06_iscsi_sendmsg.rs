//! The page is mapped in the pool, under which the socket may sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/socket.rs"]
mod socket;
use socket::*;

fn iscsi_sendpage(task: &mut Task<'_>, sock: &mut Socket, page: &Frame, (offset, size): (usize, usize)) {
    let (address, task) = kmap(task, page).expect("this kernel does not interrupt waits");
    sendmsg(task, sock, &address[offset..][..size]);
}

fn main() {
    let (mut page, mut sock) = (frame(0), Socket::default());
    put(&mut page, 1000, b"immediate data");
    thread(|task| iscsi_sendpage(task, &mut sock, &page, (1000, 9)));
    assert_eq!(sock.sent, b"immediate");
}
