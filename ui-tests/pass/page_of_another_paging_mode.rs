//! A frame of the window's own paging mode is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn map<Host: Kernel, Guest: Kernel, S: KmType<Set = Host::KmTypes>>(
    slot: Slot<'_, Host, S>,
    page: &highmem::Frame<Host::Paging>,
) {
    let _mapped = kmap_atomic(slot, page);
}

fn main() {
    let page = frame(0);
    thread(|task| map::<MyKernel, MyKernel, User0>(task.atomic().slots().user0, &page));
}
