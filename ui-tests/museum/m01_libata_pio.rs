//! M01, libata and IDE: an entry of several pages was mapped as its first page, and the cursor ran on.
//!
//! Linux, `drivers/scsi/libata-core.c`, `drivers/ide`, 2004. Fixed in a66bce337a and 15b4b40685 (history before git). Seen: the diff.
//!
//! ```c
//! buf = kmap(sg->page) + sg->offset + qc->cursg_ofs;   /* may be more than PAGE_SIZE */
//! ```
//!
//! An entry of a scatter list may be longer than a page, and a programmed transfer goes through it sector by sector. The fix takes the page
//! in which the sector is, and what is left of the offset. Here what is longer than a page is a run, which cannot be mapped; its pages can.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/clusters.rs"]
mod clusters;
use clusters::*;

/// Moves one sector, `cursg_ofs` bytes into the entry.
fn ata_pio_sector(
    slot: &mut Slot<'_, MyKernel, User0>,
    sg: &mut Sg,
    cursg_ofs: usize,
    read_data: &mut impl FnMut(&mut [u8]),
) {
    let offset = sg.offset + cursg_ofs;
    let mut buf = kmap_atomic(slot.reborrow(), &mut sg.page);
    read_data(&mut buf[offset..][..512]);
}

fn main() {
    let mut sg = sg(512, 7680);
    // The controller's data port.
    let mut sector = 0_u8;
    let mut read_data = |buf: &mut [u8]| {
        sector += 1;
        buf.fill(sector);
    };
    // The cursor is in the second page from the eighth sector on.
    for cursg_ofs in (0..7680).step_by(512) {
        thread(|task| ata_pio_sector(&mut task.atomic().slots().user0, &mut sg, cursg_ofs, &mut read_data));
    }
    assert_eq!(get_run(&sg.page, 4095), [7, 8]);
    assert_eq!(get_run(&sg.page, 8191), [15]);
}
