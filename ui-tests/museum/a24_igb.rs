//! A24, igb: `kmap()` became `kmap_local_page()`, and unmap still got the page.
//!
//! Linux, `drivers/net/ethernet/intel/igb`, in a patch, 2022. "[PATCH v2] igb ... fix kunmap_local path value to be address". Seen: its title.
//!
//! ```c
//! d = kmap_local_page(rx->page);
//! check(d);
//! kunmap_local(rx->page);
//! ```
//!
//! Each new way to map brings the old mistake back: twenty years after the first of them, and caught in review. Here all ways want
//! the guard.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
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
    kunmap_local(&rx_buffer.page);
    is_ours
}

fn main() {
    let mut rx_buffer = IgbRxBuffer { page: frame(0) };
    put(&mut rx_buffer.page, 3, &[0xff]);
    put(&mut rx_buffer.page, 74, &[0xbe, 0, 0xaf]);
    assert!(nested_thread(|task| igb_check_lbtest_frame(task, &rx_buffer, 64)));
    assert!(!nested_thread(|task| igb_check_lbtest_frame(task, &rx_buffer, 65)));
}
