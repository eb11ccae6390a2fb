//! D04, 3w-xxxx: a slot of interrupt handlers is used with interrupts on.
//!
//! Linux, `drivers/scsi/3w-xxxx.c`, 2005 to 2006. Introduced in c9d297c543f, fixed in 7551d9a20b3. Seen: the diff.
//!
//! ```c
//! b = kmap_atomic(pg, KM_IRQ0) + o;
//! memcpy(b, data, n);
//! kunmap_atomic(b - o, KM_IRQ0);
//! ```
//!
//! Any handler that maps in `KM_IRQ0` in between replaces the page, and the rest of the data goes there. Here a context with interrupts on
//! has no `irq0`.
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

/// Hands the data of an emulated command to the midlayer.
fn tw_transfer_internal(atomic: &mut Atomic<'_, MyKernel>, cmd: &mut ScsiCmnd, data: &[u8]) {
    let sg = &mut cmd.sg[0];
    let transfer_len = sg.length.min(data.len());
    let mut buf = kmap_atomic(atomic.slots().irq0, &mut sg.page);
    buf[sg.offset..][..transfer_len].copy_from_slice(&data[..transfer_len]);
}

fn main() {
    let mut cmd = scsi_cmnd(512, 8);
    thread(|task| tw_transfer_internal(&mut task.atomic(), &mut cmd, b"3ware Logical Disk"));
    assert_eq!(get(&cmd.sg[0].page, 512), *b"3ware Lo\0\0");
}
