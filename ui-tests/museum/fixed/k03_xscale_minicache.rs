//! Preemption is off where the window is used.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// Copies through the window.
fn xscale_mc_copy_user_page(minicache: Slot<'_, MyKernel, User0>, vto: &mut PageBytes, from: &Frame) {
    vto.copy_from_slice(&kmap_atomic(minicache, from)[..]);
}

fn copy_user_highpage(task: &mut Task<'_>, vto: &mut PageBytes, from: &Frame) {
    xscale_mc_copy_user_page(task.atomic().slots().user0, vto, from);
}

fn main() {
    let (mut page, mut to) = (frame(0), [0; 4096]);
    thread(|task| {
        kmap_atomic(task.atomic().slots().user0, &mut page).fill(7);
        copy_user_highpage(task, &mut to, &page);
    });
    assert_eq!(to, [7; 4096]);
}
