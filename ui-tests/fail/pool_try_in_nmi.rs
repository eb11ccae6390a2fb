//! `try_kmap` in an NMI: what it interrupted may have the lock of the pool.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// A handler of NMIs.
fn look(nmi: &mut Nmi<'_, MyKernel>, page: &Frame) {
    let _mapped = try_kmap(nmi, page).unwrap();
}

fn main() {
    let _: fn(&mut Nmi<'_, MyKernel>, &Frame) = look;
}
