//! `kmap` in an NMI: it may sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// A handler of NMIs.
fn look(nmi: &mut Nmi<'_, MyKernel>, page: &Frame) {
    let _mapped = kmap(nmi, page).unwrap();
}

fn main() {
    let _: fn(&mut Nmi<'_, MyKernel>, &Frame) = look;
}
