//! M06, ps3rom and scsi_debug: an entry of several pages was filled through a mapping of one.
//!
//! Linux, `drivers/scsi`, 2008. Fixed in 57fd2b6c893 and cbccc207128. Seen: the diff.
//!
//! ```c
//! scsi_for_each_sg(cmd, sgpnt, scsi_sg_count(cmd), k) {
//!         kaddr = kmap_atomic(sg_page(sgpnt), KM_IRQ0);
//!         memcpy(kaddr + sgpnt->offset, buf, sgpnt->length);   /* clustered: more than a page */
//!         kunmap_atomic(kaddr, KM_IRQ0);
//! }
//! ```
//!
//! The block layer merges pages that follow one another into one entry, unless a driver says that it cannot have that; the fix says so.
//! What lies behind the window's page was written over. Here the copy is refused as an error, and no byte is written, in the page or behind
//! it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/clusters.rs"]
mod clusters;
use clusters::*;
use highmem::{memcpy_to_page, ops::Error};

/// Fills the buffer of a command.
fn fill_from_dev_buffer(slot: Slot<'_, MyKernel, User0>, sgpnt: &mut Sg, buf: &[u8]) -> Result<(), Error> {
    memcpy_to_page(slot, sgpnt.page.page_mut(0)?, sgpnt.offset, &buf[..sgpnt.length])
}

fn main() {
    let mut sg = sg(0, 6000);
    fill_run(&mut sg.page, 9);
    let filled = thread(|task| fill_from_dev_buffer(task.atomic().slots().user0, &mut sg, &[1; 6000]));
    assert_eq!(filled, Err(Error::OutOfBounds { offset: 0, len: 6000, size: 4096 }));
    assert_eq!(get_run(&sg.page, 0), [9; 8192]);
}
