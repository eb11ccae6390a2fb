//! The page is put, and nothing else.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// An entry of the shadow TLB, and the guest's page that it maps.
struct ShadowTlb {
    entries: [Option<(usize, Frame)>; 2],
    free: Vec<Frame>,
}

fn put_page(tlb: &mut ShadowTlb, page: Frame) {
    tlb.free.push(page);
}

fn kvmppc_44x_shadow_release(tlb: &mut ShadowTlb, index: usize) {
    if let Some((_eaddr, page)) = tlb.entries[index].take() {
        put_page(tlb, page);
    }
}

fn main() {
    let mut tlb = ShadowTlb { entries: [Some((0x1000, frame(0))), None], free: Vec::new() };
    for index in [0, 1, 0] {
        kvmppc_44x_shadow_release(&mut tlb, index);
    }
    assert_eq!(tlb.free.len(), 1);
}
