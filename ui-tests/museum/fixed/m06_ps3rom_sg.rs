//! A copy to the entry goes from page to page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/clusters.rs"]
mod clusters;
use clusters::*;
use highmem::ops::Error;

/// Fills the buffer of a command.
fn fill_from_dev_buffer(slot: Slot<'_, MyKernel, User0>, sgpnt: &mut Sg, buf: &[u8]) -> Result<(), Error> {
    memcpy_to_run(slot, &mut sgpnt.page, sgpnt.offset, &buf[..sgpnt.length])
}

fn main() {
    let mut sg = sg(0, 6000);
    fill_run(&mut sg.page, 9);
    thread(|task| fill_from_dev_buffer(task.atomic().slots().user0, &mut sg, &[1; 6000])).unwrap();
    assert_eq!(get_run(&sg.page, 0), [1; 6000]);
    assert_eq!(get_run(&sg.page, 6000), [9; 2192]);
}
