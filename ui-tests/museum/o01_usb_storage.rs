//! O01, USB storage: a driver looks at data by way of the address of a page that may have none.
//!
//! Linux, `drivers/usb/storage`, 2003. Fixed in f3badfb729 (history before git). Seen: the diff.
//!
//! ```c
//! d = sg_address(sg[0]);
//! d[2] & 7
//! ```
//!
//! `page_address()` of a page in high memory is 0. The fix is a helper that maps and copies. Here an entry of a list has no bytes to look
//! at, and says what to do instead.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/usb.rs"]
mod usb;
use usb::*;

/// Which access the disk says that it allows, in an answer to INQUIRY.
fn usb_stor_ansi_version(_task: &mut Task<'_>, srb: &Srb) -> u8 {
    let d = &srb.sg[0][..];
    d[2] & 7
}

fn main() {
    let mut srb = srb(4094, 36);
    device_says(&mut srb, &[0, 0x80, 0x0a, 2]);
    assert_eq!(thread(|task| usb_stor_ansi_version(task, &srb)), 2);
}
