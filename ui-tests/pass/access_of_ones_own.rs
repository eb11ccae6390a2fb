//! A kernel's page names one of the four.
#[path = "../prelude.rs"]
mod prelude;
use highmem::page::Volatile;
use prelude::*;

struct DeviceBuffer(SharedFrame);

// SAFETY: nobody has a reference into a frame that the device writes.
unsafe impl Page for DeviceBuffer {
    type Paging = Pae;
    type Access = Volatile;

    fn pfn(&self) -> Pfn<Pae> {
        self.0.pfn()
    }
}

fn main() {
    let buffer = DeviceBuffer(user_frame(0));
    assert_eq!(buffer.pfn().number(), 0);
}
