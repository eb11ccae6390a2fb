//! A guard of a page that must not leave its CPU is lent to another.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use std::marker::PhantomData;

/// A page that is used on its CPU only.
struct CpuPage(Frame, PhantomData<*mut ()>);

// SAFETY: the frame is this value's.
unsafe impl Page for CpuPage {
    type Paging = Pae;
    type Access = highmem::page::ReadWrite;
    fn pfn(&self) -> Pfn<Pae> {
        self.0.pfn()
    }
}

fn main() {
    let page = CpuPage(frame(0), PhantomData);
    thread(|task| {
        let (mapped, _) = kmap(task, &page).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(mapped.page().pfn().number(), 0)); // attack
        });
        assert_eq!(mapped[0], 0);
    });
}
