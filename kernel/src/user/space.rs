//! An address space: which pages a process has, and what a fault means.
//!
//! In C, a missing flush after `fork` or after a copy is a bug that shows once a week: a process goes on writing into a page that it shares,
//! or reading one that it has no more. The rule: a page that more than one process has is writable in no page table and in no TLB, and what
//! an entry has ceased to map is flushed before its frame is let go. The type says the second half: whoever replaces an entry has
//! flushed it when the old page comes out.
//!
//! The pages are in a map, by their addresses; the page tables say the same to the processor. A process has one thread, which alone
//! gets here, by `&mut`; where translations can be is explained in [`paging::user`](crate::paging::user).

use alloc::collections::BTreeMap;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use highmem::{PAGE_SIZE, Page};

use crate::kmap::{MaySleep, Task};
use crate::paging::user::{OutOfMemory, Top, UserTables, flush_all};
use crate::paging::virt_to_phys;
use crate::probe::PageFault;
use crate::user::layout::{PROGRAMS, Region};
use crate::user::{Current, UserPage, program};

/// How many faults there have been of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Pages of zeros.
    pub zeroed: u64,
    /// Pages copied, because another process had them, too.
    pub copied: u64,
    /// Pages made writable, because no other process had them any more.
    pub reused: u64,
}

static ZEROED: AtomicU64 = AtomicU64::new(0);
static COPIED: AtomicU64 = AtomicU64::new(0);
static REUSED: AtomicU64 = AtomicU64::new(0);

/// The faults of all processes so far.
pub fn stats() -> Stats {
    let [zeroed, copied, reused] = [&ZEROED, &COPIED, &REUSED].map(|count| count.load(Relaxed));
    Stats { zeroed, copied, reused }
}

/// Why an access is not allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The process has nothing there, or may not do that with it.
    NotAllowed,
    /// There is no frame.
    OutOfMemory,
}

impl From<OutOfMemory> for Refusal {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// An address space.
pub(crate) struct Space {
    // Dropped when no CPU uses the tables: `Current::with` takes them away from the thread first.
    tables: UserTables,
    pages: BTreeMap<usize, UserPage>,
}

impl Space {
    /// One with the programs, and memory that nobody has touched.
    pub fn new(task: &mut MaySleep<'_>) -> Result<Self, OutOfMemory> {
        let mut tables = UserTables::new(task)?;
        let programs = program::section();
        for (at, linked) in (PROGRAMS..).step_by(PAGE_SIZE).zip(programs.step_by(PAGE_SIZE)) {
            // SAFETY: the pages are the image's, for good, and have nothing but programs in them.
            unsafe { tables.map(task, at, virt_to_phys(linked), false, true)? };
        }
        Ok(Self { tables, pages: BTreeMap::new() })
    }

    /// What a CPU loads.
    pub fn top(&self) -> Top {
        self.tables.top()
    }

    /// The address space of a child: the same pages, which from now on neither may write.
    pub fn fork(&mut self, task: &mut MaySleep<'_>) -> Result<Self, OutOfMemory> {
        let mut child = Self::new(task)?;
        let shared = self.share(task, &mut child);
        // What was writable a moment ago is so in the TLB of this CPU. Before the child can run, and before this process goes on.
        flush_all();
        shared.map(|()| child)
    }

    fn share(&mut self, task: &mut MaySleep<'_>, child: &mut Self) -> Result<(), OutOfMemory> {
        for (&at, page) in &self.pages {
            self.tables.write_protect(at);
            // SAFETY: the page is put beside the tables, which go first.
            unsafe { child.tables.map(task, at, page.pfn().address(), false, false)? };
            child.pages.insert(at, page.clone());
        }
        Ok(())
    }

    /// Does what a fault asks for, so that the access can be tried again.
    ///
    /// # Panics
    ///
    /// If the page tables are not as this module has made them.
    pub fn fault(&mut self, task: &mut MaySleep<'_>, fault: PageFault) -> Result<(), Refusal> {
        assert!(!fault.was_reserved(), "{fault}");
        if Region::of(fault.address) != Some(Region::Memory) || fault.was_instruction_fetch() {
            return Err(Refusal::NotAllowed);
        }
        let at = fault.address & !(PAGE_SIZE - 1);
        match self.pages.get_mut(&at) {
            None => self.first_touch(task, at)?,
            Some(page) if fault.was_write() => {
                if page.is_alone() {
                    // SAFETY: the page stays beside the tables, and no other address space has it.
                    unsafe { self.tables.replace(at, page.pfn().address()) };
                    REUSED.fetch_add(1, Relaxed);
                } else {
                    let copy = page.copied(task)?;
                    // SAFETY: as above. The old page is let go when it is mapped, and translated, no more.
                    unsafe { self.tables.replace(at, copy.pfn().address()) };
                    *page = copy;
                    COPIED.fetch_add(1, Relaxed);
                }
            }
            // It can be read.
            Some(_) => return Err(Refusal::NotAllowed),
        }
        Ok(())
    }

    fn first_touch(&mut self, task: &mut MaySleep<'_>, at: usize) -> Result<(), OutOfMemory> {
        let page = UserPage::zeroed(task)?;
        // SAFETY: the page is put beside the tables, which go first.
        unsafe { self.tables.map(task, at, page.pfn().address(), true, false)? };
        self.pages.insert(at, page);
        ZEROED.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Runs `f` in this thread with an address space of its own, for tests of copies.
///
/// # Errors
///
/// If there are no frames for page tables.
///
/// # Panics
///
/// If the thread has an address space already.
pub fn with_space<R>(task: &mut Task<'_>, f: impl FnOnce(&mut Task<'_>) -> R) -> Result<R, OutOfMemory> {
    let space = Space::new(task)?;
    Ok(Current::with(task, space, |task, _| f(task)))
}
