//! A page of user space: a frame of high memory that processes share until one of them writes.
//!
//! In C, who has a page is a count in `struct page`, kept by hand: one decrement too many, and a process writes into the memory of another.
//! The rule: a frame is given back when the last process that had it lets go, and is written only by a process that has it alone. The
//! type says the first half: a clone is one more owner. The second is the business of the page tables, which say who may write: in
//! Rust's eyes, user space writes whenever it likes, so the page is volatile (I6).

use alloc::sync::Arc;

use highmem::page::Volatile;
use highmem::{Page, Pfn, clear_user_highpage, copy_user_highpage};

use crate::frames::{self, SharedFrame};
use crate::kmap::{MaySleep, Paging};
use crate::paging::user::OutOfMemory;

/// One owner of such a page.
#[derive(Clone, Debug)]
pub struct UserPage(Arc<SharedFrame>);

// SAFETY: I6: a frame that was shared when it became a page of user space, and that nobody refers into; the count keeps it (I5).
unsafe impl Page for UserPage {
    type Paging = Paging;
    type Access = Volatile;

    fn pfn(&self) -> Pfn<Paging> {
        self.0.pfn()
    }
}

impl UserPage {
    /// A page of zeros.
    pub(super) fn zeroed(task: &mut MaySleep<'_>) -> Result<Self, OutOfMemory> {
        let mut page = Self::new()?;
        clear_user_highpage(task.atomic().slots().user0, &mut page);
        Ok(page)
    }

    /// A page with what is in this one.
    pub(super) fn copied(&self, task: &mut MaySleep<'_>) -> Result<Self, OutOfMemory> {
        let mut page = Self::new()?;
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        copy_user_highpage(slots.user1, &mut page, slots.user0, self);
        Ok(page)
    }

    fn new() -> Result<Self, OutOfMemory> {
        let frame = frames::alloc_highmem().ok_or(OutOfMemory)?;
        Ok(Self(Arc::new(frame.share())))
    }

    /// Whether no other process has the page. None can get it then but from this owner.
    pub(super) fn is_alone(&mut self) -> bool {
        Arc::get_mut(&mut self.0).is_some()
    }
}
