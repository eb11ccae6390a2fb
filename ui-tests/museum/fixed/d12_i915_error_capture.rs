//! The interrupt handler maps in a slot of interrupts.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/gem.rs"]
mod gem;
use gem::*;

fn i915_error_object_create(irq: &mut HardIrq<'_, MyKernel>, src: &GemObject) -> ErrorObject {
    let mut dst = ErrorObject { pages: Vec::new() };
    for page in &src.pages {
        let s = kmap_atomic(irq.slots().irq0, page);
        dst.pages.push(Box::new(*s));
    }
    dst
}

fn i915_hangcheck_elapsed(irq: &mut HardIrq<'_, MyKernel>, batch: &GemObject) -> ErrorObject {
    i915_error_object_create(irq, batch)
}

fn main() {
    let mut batch = GemObject { pages: vec![frame(0), frame(1)] };
    put(&mut batch.pages[1], 16, b"MI_BATCH_BUFFER_END");
    let error = interrupt(|irq| i915_hangcheck_elapsed(irq, &batch));
    assert_eq!(error.pages.len(), 2);
    assert_eq!(error.pages[1][16..35], *b"MI_BATCH_BUFFER_END");
}
