//! The guard is unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

struct IgbRxBuffer {
    page: Frame,
}

/// Whether the frame that came back is the one that was sent, for the self-test.
fn igb_check_lbtest_frame(task: &mut NestedTask<'_>, rx_buffer: &IgbRxBuffer, frame_size: usize) -> bool {
    let mut pinned = task.pinned();
    let (mut local, _) = pinned.local();
    let (data, _) = kmap_local_page(&mut local, &rx_buffer.page);
    let is_ours = data[3] == 0xff && data[frame_size + 10] == 0xbe && data[frame_size + 12] == 0xaf;
    kunmap_local(data);
    is_ours
}

fn main() {
    let mut rx_buffer = IgbRxBuffer { page: frame(0) };
    put(&mut rx_buffer.page, 3, &[0xff]);
    put(&mut rx_buffer.page, 74, &[0xbe, 0, 0xaf]);
    assert!(nested_thread(|task| igb_check_lbtest_frame(task, &rx_buffer, 64)));
    assert!(!nested_thread(|task| igb_check_lbtest_frame(task, &rx_buffer, 65)));
}
