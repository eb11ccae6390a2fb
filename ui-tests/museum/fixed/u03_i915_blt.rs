//! A page of memory is written as the words that it is.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/gem.rs"]
mod gem;
use gem::*;

const XY_COLOR_BLT: u32 = 0x5440_0004;

fn fill_blt(task: &mut Task<'_>, obj: &mut GemObject, color: u32) {
    let (mut p, _) = kmap(task, &mut obj.pages[0]).expect("this kernel does not interrupt waits");
    *p.view_mut(0).expect("aligned") = XY_COLOR_BLT;
    *p.view_mut(4).expect("aligned") = color;
}

fn main() {
    let mut batch = GemObject { pages: vec![frame(0)] };
    thread(|task| fill_blt(task, &mut batch, 0xff00ff));
    let written =
        thread(|task| *kmap_atomic(task.atomic().slots().user0, &batch.pages[0]).view::<[u32; 2]>(0).unwrap());
    assert_eq!(written, [XY_COLOR_BLT, 0xff00ff]);
}
