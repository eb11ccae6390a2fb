//! The mapping is kept, with the page in it, and unmapping gives the page back.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// What the driver keeps: the page that a chipset's buffers are flushed through, mapped.
struct IntelPrivate<'a> {
    i8xx_flush_page: Option<Kmap<'a, MyKernel, Frame>>,
}

fn intel_i830_setup_flush<'a>(task: &'a mut Task<'_>, page: Frame) -> IntelPrivate<'a> {
    let (mapped, _task) = kmap(task, page).unwrap();
    IntelPrivate { i8xx_flush_page: Some(mapped) }
}

/// Writing a kilobyte pushes everything out that was written before.
fn intel_i830_chipset_flush(private: &mut IntelPrivate<'_>) {
    if let Some(page) = &mut private.i8xx_flush_page {
        page[..1024].fill(0);
    }
}

fn intel_i830_fini_flush(private: &mut IntelPrivate<'_>) -> Option<Frame> {
    private.i8xx_flush_page.take().map(kunmap)
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 1020, b"before");
    let page = thread(|task| {
        let mut private = intel_i830_setup_flush(task, page);
        intel_i830_chipset_flush(&mut private);
        intel_i830_fini_flush(&mut private)
    });
    assert_eq!(get(&page.unwrap(), 1020), *b"\0\0\0\0re");
}
