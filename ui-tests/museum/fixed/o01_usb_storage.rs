//! The bytes are copied out by a helper that maps.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/usb.rs"]
mod usb;
use usb::*;

/// Which access the disk says that it allows, in an answer to INQUIRY.
fn usb_stor_ansi_version(task: &mut Task<'_>, srb: &Srb) -> u8 {
    let mut d = [0; 36];
    let there = highmem::ops::sg_copy_to_buffer(&mut d, task.atomic().slots().user0, &srb.sg);
    assert_eq!(there, d.len());
    d[2] & 7
}

fn main() {
    let mut srb = srb(4094, 36);
    device_says(&mut srb, &[0, 0x80, 0x0a, 2]);
    assert_eq!(thread(|task| usb_stor_ansi_version(task, &srb)), 2);
}
