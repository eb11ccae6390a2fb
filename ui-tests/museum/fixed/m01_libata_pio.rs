//! The page in which the sector is, and the place there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/clusters.rs"]
mod clusters;
use clusters::*;
use highmem::PAGE_SIZE;

/// Moves one sector, `cursg_ofs` bytes into the entry.
fn ata_pio_sector(
    slot: &mut Slot<'_, MyKernel, User0>,
    sg: &mut Sg,
    cursg_ofs: usize,
    read_data: &mut impl FnMut(&mut [u8]),
) {
    let offset = sg.offset + cursg_ofs;
    let mut buf = kmap_atomic(slot.reborrow(), sg.page.page_mut(offset / PAGE_SIZE).unwrap());
    read_data(&mut buf[offset % PAGE_SIZE..][..512]);
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
