//! A kernel invents an access: neither private nor shared memory.
#[path = "../prelude.rs"]
mod prelude;
use highmem::page::Access;
use highmem::page::VolatileReadOnly;
use prelude::*;

struct Anything;

impl Access for Anything {
    const WRITABLE: bool = true;
    type Shared = VolatileReadOnly;
}

struct DeviceBuffer(SharedFrame);

// SAFETY: nobody has a reference into a frame that the device writes.
unsafe impl Page for DeviceBuffer {
    type Paging = Pae;
    type Access = Anything;

    fn pfn(&self) -> Pfn<Pae> {
        self.0.pfn()
    }
}

fn main() {
    let buffer = DeviceBuffer(user_frame(0));
    assert_eq!(buffer.pfn().number(), 0);
}
