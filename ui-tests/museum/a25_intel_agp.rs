//! A25, agp for Intel: a repair for stable kernels made a right `kunmap(page)` into `kunmap(address)`.
//!
//! Linux, `drivers/char/agp/intel-gtt.c`, 2010. In 136711be41e. Seen: the diff.
//!
//! ```c
//! - kunmap(priv->page);
//! + if (priv->addr) {
//! +         kunmap(priv->addr);      /* void *: converts silently */
//! +         priv->addr = NULL;
//! + }
//! ```
//!
//! No repair of the repair is known; the code was removed later. Two fields of a structure, one right and one wrong, and to C they
//! are the same. Here the address is a number, and the mapping is what has to be kept.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// What the driver keeps: the page that a chipset's buffers are flushed through, and where it is mapped.
struct IntelPrivate<'a> {
    i8xx_page: Option<Kmap<'a, MyKernel, Frame>>,
    i8xx_flush_page: Option<usize>,
}

fn intel_i830_setup_flush<'a>(task: &'a mut Task<'_>, page: Frame) -> IntelPrivate<'a> {
    let (mapped, _task) = kmap(task, page).unwrap();
    IntelPrivate { i8xx_flush_page: Some(mapped.address()), i8xx_page: Some(mapped) }
}

/// Writing a kilobyte pushes everything out that was written before.
fn intel_i830_chipset_flush(private: &mut IntelPrivate<'_>) {
    if let Some(page) = &mut private.i8xx_page {
        page[..1024].fill(0);
    }
}

fn intel_i830_fini_flush(private: &mut IntelPrivate<'_>) {
    if let Some(address) = private.i8xx_flush_page.take() {
        kunmap(address);
    }
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 1020, b"before");
    thread(|task| {
        let mut private = intel_i830_setup_flush(task, page);
        intel_i830_chipset_flush(&mut private);
        intel_i830_fini_flush(&mut private);
    });
}
