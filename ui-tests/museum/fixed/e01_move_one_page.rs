//! The table is allocated before anything is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/mremap.rs"]
mod mremap;
use mremap::*;

fn move_one_page(task: &mut Task<'_>, space: &mut Space, frames: &mut Frames, old: usize, new: usize) -> Option<()> {
    let table = pte_alloc_one(task, frames)?;
    let mut atomic = task.atomic();
    let slots = atomic.slots();
    let src = space.entry(slots.pte0, old).ok()?;
    let leaf = src.leaf().ok()??;
    let pte0 = src.unmap();

    frames.give_back(table);
    let mut edit = space.edit(pte0, slots.pte1, frames);
    let flush = edit.unmap(Pages::new(old, 1), |_| ()).ok()?;
    edit.flush(flush);
    // SAFETY: no CPU uses the address space.
    let flush = unsafe { edit.map(new, leaf.pfn, leaf.size, leaf.flags) }.ok()?;
    edit.flush(flush);
    Some(())
}

fn main() {
    thread(|task| {
        let (mut space, mut frames) = space(task);
        let page = frame_at(task, &space, 0x1000);
        move_one_page(task, &mut space, &mut frames, 0x1000, 0x20_0000).unwrap();
        assert_eq!((frame_at(task, &space, 0x1000), frame_at(task, &space, 0x20_0000)), (None, page));
        assert!(page.is_some());
    });
}
