//! I03, megaraid: a buffer is mapped, and the list that describes it is cleared.
//!
//! Linux, `drivers/scsi/megaraid.c`, 2005. Fixed in f0353301e67. Seen: the diff.
//!
//! ```c
//! b = kmap_atomic(sg->page, KM_IRQ0) + sg->offset;
//! memset(cmd->request_buffer, 0, n);
//! kunmap_atomic(b, KM_IRQ0);
//! ```
//!
//! To C, `request_buffer` is a pointer to anything: here, to the list of what is to be filled. In Rust a list is a list of what it
//! has, and only the mapping has bytes.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct ScatterEntry {
    page: Frame,
    offset: usize,
    length: usize,
}

struct ScsiCmnd {
    request_buffer: Vec<ScatterEntry>,
}

fn memset(to: &mut [u8], byte: u8) {
    to.fill(byte);
}

/// Answers in place of the adapter.
fn mega_internal_command(irq: &mut HardIrq<'_, MyKernel>, cmd: &mut ScsiCmnd) {
    let sg = &mut cmd.request_buffer[0];
    let bytes = sg.offset..sg.offset + sg.length;
    let mut buf = kmap_atomic(irq.slots().irq0, &mut sg.page);
    let _buf = &mut buf[bytes];
    memset(&mut cmd.request_buffer, 0);
}

fn main() {
    let mut cmd = ScsiCmnd { request_buffer: vec![ScatterEntry { page: frame(0), offset: 16, length: 8 }] };
    interrupt(|irq| {
        kmap_atomic(irq.slots().irq0, &mut cmd.request_buffer[0].page).fill(0xff);
        mega_internal_command(irq, &mut cmd);
        let page = kmap_atomic(irq.slots().irq0, &cmd.request_buffer[0].page);
        assert_eq!(page[14..26], [0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
    });
}
