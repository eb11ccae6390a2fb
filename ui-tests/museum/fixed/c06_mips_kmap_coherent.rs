//! The handler has a slot of its own, and the copy that it interrupts is whole.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/mips.rs"]
mod mips;
use mips::*;

fn flush_cache_page(irq: &mut HardIrq<'_, Mips>, page: &mut Frame) {
    let mut vaddr = kmap_atomic(irq.slots().coherent_irq, page);
    vaddr[0] = 1;
}

fn copy_user_highpage(task: &mut highmem::Task<'_, Mips>, to: &mut [u8], from: &Frame, flushed: &mut Frame) {
    let mut atomic = task.atomic();
    let vfrom = kmap_atomic(atomic.slots().coherent, from);
    to[..2048].copy_from_slice(&vfrom[..2048]);
    smp_call_function_interrupt(|irq| flush_cache_page(irq, flushed));
    to[2048..].copy_from_slice(&vfrom[2048..]);
}

fn main() {
    let (from, mut flushed) = (frame(0), frame(1));
    let mut to = [2; 4096];
    mips_thread(|task| copy_user_highpage(task, &mut to, &from, &mut flushed));
    assert_eq!(to, [0; 4096]);
    mips_thread(|task| assert_eq!(kmap_atomic(task.atomic().slots().coherent, &flushed)[0], 1));
}
