//! The bytes of the fragment, each page of it mapped in turn.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/clusters.rs"]
mod clusters;
use clusters::*;
use highmem::ops::{Error, memcpy_from_run};

/// `skb_frag_t`: some bytes of a page, or of pages that follow it.
struct Frag {
    page: FrameRun,
    page_offset: usize,
    size: usize,
}

/// Copies a fragment to where its packet is in one piece.
fn skb_copy_frag(slot: Slot<'_, MyKernel, User0>, frag: &Frag, to: &mut [u8]) -> Result<(), Error> {
    memcpy_from_run(&mut to[..frag.size], slot, &frag.page, frag.page_offset)
}

fn main() {
    let mut frag = Frag { page: run(0), page_offset: 4000, size: 200 };
    put_run(&mut frag.page, 4000, &[1; 200]);
    let mut to = [9; 200];
    thread(|task| skb_copy_frag(task.atomic().slots().user0, &frag, &mut to)).unwrap();
    assert_eq!(to, [1; 200]);
}
