//! O03, gdth: a controller's answer is copied to the address of a page in high memory.
//!
//! Linux, `drivers/scsi/gdth.c`, 2003. Fixed in 53b2a84a03 (history before git). Seen: the diff.
//!
//! ```c
//! a = page_address(pg) + o;
//! memcpy(a, b, n);
//! ```
//!
//! The address is 0 plus an offset; and the fix, which maps, passes address plus offset to its unmap. Here a page gives no address, and
//! what maps it ends the mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/scatter.rs"]
mod scatter;
#[path = "fixtures/scsi.rs"]
mod scsi;
use scsi::*;

fn gdth_copy_internal_data(_irq: &mut HardIrq<'_, MyKernel>, scp: &mut ScsiCmnd, buffer: &[u8]) {
    let mut cpcount = 0;
    for sl in &mut scp.sg {
        let cpnow = sl.length.min(buffer.len() - cpcount);
        let address = sl.page.address() + sl.offset;
        memcpy(address, &buffer[cpcount..][..cpnow]);
        cpcount += cpnow;
    }
}

/// `memcpy()`.
fn memcpy(to: usize, from: &[u8]) {
    assert!(to != 0 && !from.is_empty());
}

fn main() {
    let mut scp = scsi_cmnd(256, 8);
    interrupt(|irq| gdth_copy_internal_data(irq, &mut scp, b"ICP     "));
    assert_eq!(get(&scp.sg[0].page, 256), *b"ICP     \0");
}
