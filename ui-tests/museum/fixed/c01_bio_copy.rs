//! Source and target have a slot each.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bio.rs"]
mod bio;
use bio::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

fn bio_copy(irqs_off: &mut IrqsOff<'_, MyKernel>, to: &mut Bio, from: &Bio) {
    for (dst, src) in to.io_vec.iter_mut().zip(&from.io_vec) {
        let slots = irqs_off.slots();
        let f = kmap_atomic(slots.bio_src_irq, &src.page);
        let mut t = kmap_atomic(slots.bio_dst_irq, &mut dst.page);
        t[dst.offset..][..dst.len].copy_from_slice(&f[src.offset..][..src.len]);
    }
}

fn main() {
    let mut from = bio();
    put(&mut from.io_vec[0].page, 4092, b"part");
    put(&mut from.io_vec[1].page, 512, b"another");
    let parts = [BioVec { page: frame(2), offset: 0, len: 4096 }, BioVec { page: frame(3), offset: 0, len: 1024 }];
    let mut to = Bio { io_vec: parts.into() };
    thread(|task| bio_copy(&mut task.atomic().irqs_off(), &mut to, &from));
    assert_eq!(get(&to.io_vec[0].page, 4092), *b"part");
    assert_eq!(get(&to.io_vec[1].page, 0), *b"another\0");
}
