//! The page is mapped before, where that is possible, and only looked at here.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// A handler of NMIs.
fn look(_nmi: &mut Nmi<'_, MyKernel>, page: &Kmap<'_, MyKernel, &Frame>) {
    assert_eq!(page[0], 0);
}

fn main() {
    let _: fn(&mut Nmi<'_, MyKernel>, &Kmap<'_, MyKernel, &Frame>) = look;
}
