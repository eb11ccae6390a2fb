//! C06, MIPS: another CPU's request to flush a page uses the mapping that a copy of a page is just using.
//!
//! Linux, `arch/mips/mm/init.c`, 2009. Fixed in 0f334a3e8c3. Seen: the diff.
//!
//! ```c
//! vfrom = kmap_coherent(from, vaddr);      /* copy_user_highpage() */
//!         /* IPI -> flush_cache_page(): kmap_coherent() of another page, at the same address */
//! copy_page(vto, vfrom);
//! ```
//!
//! The rest of the copy came from the other page. Handlers got a set of entries of their own. Here a slot of tasks is none of the tokens
//! that an interrupt handler has.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/mips.rs"]
mod mips;
use mips::*;

fn flush_cache_page(irq: &mut HardIrq<'_, Mips>, page: &mut Frame) {
    let mut vaddr = kmap_atomic(irq.slots().coherent, page);
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
