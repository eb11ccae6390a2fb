//! M04, libfc: several pages became one fragment, of which the network code copies one page.
//!
//! Linux, `drivers/scsi/libfc`, 2009. Fixed in 18fa11efc27. Seen: the diff.
//!
//! ```c
//! skb_fill_page_desc(skb, n, sg_page(sg), off, len);   /* len > PAGE_SIZE - off */
//! /* and in the network code: */
//! vaddr = kmap_skb_frag(frag);                         /* one page */
//! memcpy(to, vaddr + frag->page_offset, frag->size);
//! ```
//!
//! A compound page went out as one fragment, and whoever made the packet linear copied what lay behind the mapping of its first page. The
//! fix makes a fragment for each page. Here a mapping has 4096 bytes, and a slice that goes past them ends in a panic, with nothing copied.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/clusters.rs"]
mod clusters;
use clusters::*;
use highmem::ops::Error;

/// `skb_frag_t`: some bytes of a page, or of pages that follow it.
struct Frag {
    page: FrameRun,
    page_offset: usize,
    size: usize,
}

/// Copies a fragment to where its packet is in one piece.
fn skb_copy_frag(slot: Slot<'_, MyKernel, User0>, frag: &Frag, to: &mut [u8]) -> Result<(), Error> {
    let vaddr = kmap_atomic(slot, frag.page.page(0)?);
    to.copy_from_slice(&vaddr[frag.page_offset..][..frag.size]);
    Ok(())
}

fn main() {
    let mut frag = Frag { page: run(0), page_offset: 4000, size: 200 };
    put_run(&mut frag.page, 4000, &[1; 200]);
    let mut to = [9; 200];
    let message = caught(|| thread(|task| skb_copy_frag(task.atomic().slots().user0, &frag, &mut to)));
    assert_eq!(message, "range end index 200 out of range for slice of length 96");
    assert_eq!(to, [9; 200]);
}
