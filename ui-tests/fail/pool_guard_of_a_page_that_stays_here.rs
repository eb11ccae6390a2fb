//! A mapping of a page that must not leave its CPU does.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// Runs `f` on another CPU, and waits for it.
fn run_on_another_cpu(_task: &mut MaySleep<'_>, f: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(f).join().unwrap());
}

/// A page of a CPU: it must not be used on others.
struct CpuPage(Frame, std::marker::PhantomData<*mut ()>);

// SAFETY: the frame is this value's.
unsafe impl Page for CpuPage {
    type Paging = Pae;
    type Access = highmem::page::ReadWrite;
    fn pfn(&self) -> Pfn<Pae> {
        self.0.pfn()
    }
}

fn main() {
    thread(|task| {
        let page = CpuPage(frame(0), std::marker::PhantomData);
        let (mut mapped, task) = kmap(task, page).unwrap();
        run_on_another_cpu(task, || mapped.fill(1));
    });
}
