//! The bytes of the mapping are cleared.
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
    memset(&mut buf[bytes], 0);
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
