//! The kernel's own page type becomes mappable without the promise of who else uses its frame.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct SwapPage(Frame);

impl Page for SwapPage {
    type Paging = Pae;
    type Access = highmem::page::ReadWrite;

    fn pfn(&self) -> Pfn<Pae> {
        self.0.pfn()
    }
}

fn main() {
    thread(|task| kmap_atomic(task.atomic().slots().user0, SwapPage(frame(0))).fill(0));
}
