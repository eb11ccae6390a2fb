//! An address is passed to unmap, as later Linux has it: any address of the page will do there, and of any other page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        let address = mapped.address() + 512;
        mapped[512] = 1;
        kunmap_atomic(address);
    });
}
