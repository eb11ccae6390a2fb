//! K03, xscale: a copy uses the window of its CPU, and who calls it can be preempted.
//!
//! Linux, `arch/arm/mm/copypage-xscale.c`, 2005. Fixed in f8f98a9335d. Seen: the diff.
//!
//! ```c
//! /* the window for the mini cache is shared; callers used to have preemption off */
//! xscale_mc_copy_user_page(to, from);
//! ```
//!
//! What the callers had locked was taken out of them, and the callee had relied on it without a word. Here the window is a token,
//! and so a parameter: a task that can be preempted has none.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// Copies through the window.
fn xscale_mc_copy_user_page(minicache: Slot<'_, MyKernel, User0>, vto: &mut PageBytes, from: &Frame) {
    vto.copy_from_slice(&kmap_atomic(minicache, from)[..]);
}

fn copy_user_highpage(task: &mut Task<'_>, vto: &mut PageBytes, from: &Frame) {
    xscale_mc_copy_user_page(task.slots().user0, vto, from);
}

fn main() {
    let (mut page, mut to) = (frame(0), [0; 4096]);
    thread(|task| {
        kmap_atomic(task.atomic().slots().user0, &mut page).fill(7);
        copy_user_highpage(task, &mut to, &page);
    });
    assert_eq!(to, [7; 4096]);
}
