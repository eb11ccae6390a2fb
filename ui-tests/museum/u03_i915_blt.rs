//! U03, i915: memory is written by what writes registers.
//!
//! Linux, `drivers/gpu/drm/i915`, 2010. Fixed in 27153f72d04. Seen: the diff.
//!
//! ```c
//! p = kmap(page);
//! iowrite32(x, p);
//! iowrite32(y, p + 1);
//! ```
//!
//! Both have an address, and C's types do not say which is which. Here registers and memory are different pages, and their mappings have
//! different methods.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/gem.rs"]
mod gem;
use gem::*;

const XY_COLOR_BLT: u32 = 0x5440_0004;

fn fill_blt(task: &mut Task<'_>, obj: &mut GemObject, color: u32) {
    let (mut p, _) = kmap(task, &mut obj.pages[0]).expect("this kernel does not interrupt waits");
    p.store(0, XY_COLOR_BLT).expect("aligned");
    p[4..8].copy_from_slice(&color.to_ne_bytes());
}

fn main() {
    let mut batch = GemObject { pages: vec![frame(0)] };
    thread(|task| fill_blt(task, &mut batch, 0xff00ff));
    let written =
        thread(|task| *kmap_atomic(task.atomic().slots().user0, &batch.pages[0]).view::<[u32; 2]>(0).unwrap());
    assert_eq!(written, [XY_COLOR_BLT, 0xff00ff]);
}
