//! O06, iSCSI: data is sent from the address of its page.
//!
//! Linux, `drivers/scsi/iscsi_tcp.c`, 2006. Fixed in 7cae5159dd2. Seen: the diff.
//!
//! ```c
//! sendmsg(page_address(pg) + off);
//! ```
//!
//! The fix sends the page itself, by what maps it where that is needed. Here `page_address` is a question: is the page mapped now? The
//! answer may be no, and if it is yes, it is a guard.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/socket.rs"]
mod socket;
use socket::*;

fn iscsi_sendpage(task: &mut Task<'_>, sock: &mut Socket, page: &Frame, (offset, size): (usize, usize)) {
    let (address, task) = page_address(task, page);
    sendmsg(task, sock, &address[offset..][..size]);
}

fn main() {
    let (mut page, mut sock) = (frame(0), Socket::default());
    put(&mut page, 1000, b"immediate data");
    thread(|task| iscsi_sendpage(task, &mut sock, &page, (1000, 9)));
    assert_eq!(sock.sent, b"immediate");
}
