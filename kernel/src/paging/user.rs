//! The page tables of user space: each address space has its own, below the kernel's half, which all have.
//!
//! The tables are frames of lowmem. Only the thread whose address space it is changes the entries, so nobody has to be kept out; the processor
//! may walk them at any time while the thread runs, and so a present entry becomes another one by way of an empty one (I10).
//!
//! # Which translations to flush
//!
//! An entry that was empty is in no TLB. A present one that changes may be in that of this CPU, and of no other: the thread runs here,
//! and a CPU that it ran on before has loaded another top table when the thread left it, which flushes all that is not global, as no
//! translation of user space is. So a local flush is enough, and it does not matter whether the thread is moved before it.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use highmem::{Pfn, kmap_atomic};
use x86::controlregs::{cr3, cr3_write};
use x86::tlb;

use super::{COPIES, ENTRIES, POOL, PRESENT, Raw, TOP_IS_FINAL, address, has_nx, index, levels, mode, phys_to_virt};
use crate::arch::{DIRECT_MAP_BASE, USER_END};
use crate::frames::{self, SharedFrame, Zone};
use crate::kmap::{MaySleep, Paging};
use crate::{cpu, irq, spaces};

/// There is no frame for what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

/// What a CPU loads into CR3.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Top {
    /// The physical address of the top table, in each of its copies.
    Copies([u64; COPIES]),
    /// The top table of an address space of [`spaces`](crate::spaces).
    Root(Pfn<Paging>),
}

impl Top {
    /// The kernel's own, in which there is no user space.
    pub fn of_kernel() -> Self {
        Self::Copies(core::array::from_fn(|copy| POOL[copy].physical()))
    }

    /// Has this CPU use it, and forget the translations that are not global. Called with interrupts off.
    ///
    /// # Safety
    ///
    /// The tables stay until this CPU has loaded others.
    pub unsafe fn load(&self) {
        let copy = if COPIES > 1 { cpu::number() } else { 0 };
        spaces::begin_load();
        // SAFETY: by this function's contract; the kernel is mapped there, too.
        unsafe {
            match *self {
                Self::Copies(tops) => cr3_write(tops[copy]),
                Self::Root(root) => spaces::load(root),
            }
        }
        spaces::end_load(match *self {
            Self::Copies(_) => None,
            Self::Root(root) => Some(root),
        });
    }
}

/// The page tables of an address space.
pub(crate) struct UserTables {
    tops: [SharedFrame; COPIES],
    /// All others.
    lower: Vec<SharedFrame>,
}

impl UserTables {
    /// Tables that map the kernel, and no user space.
    pub fn new(task: &mut MaySleep<'_>) -> Result<Self, OutOfMemory> {
        TOP_IS_FINAL.store(true, Ordering::SeqCst);
        let mut tops = Vec::new();
        for top in &POOL[..COPIES] {
            let frame = table(task)?;
            for index in index(DIRECT_MAP_BASE, levels())..ENTRIES {
                match top.get(index) {
                    0 => {}
                    // SAFETY: within a new table, which is empty.
                    entry => unsafe { mode::write(entry_at(frame_address(&frame), index), entry) },
                }
            }
            tops.push(frame);
        }
        let Ok(tops) = tops.try_into() else { unreachable!("there are as many as copies") };
        let mut tables = Self { tops, lower: Vec::new() };
        for virt in mode::LOADED_AT_ONCE.into_iter().filter(|&virt| virt < USER_END) {
            tables.table_for(task, virt, levels() - 1)?;
        }
        Ok(tables)
    }

    /// What to load.
    pub fn top(&self) -> Top {
        Top::Copies(self.copies())
    }

    /// The physical addresses of the copies of the top table.
    fn copies(&self) -> [u64; COPIES] {
        self.tops.each_ref().map(frame_address)
    }

    /// Maps the frame at `phys` at `virt`, where nothing is mapped: to be read, and written or executed if that is said.
    ///
    /// # Safety
    ///
    /// It is the caller's business whether the frame stays while it is mapped.
    pub unsafe fn map(
        &mut self,
        task: &mut MaySleep<'_>,
        virt: usize,
        phys: u64,
        writable: bool,
        executable: bool,
    ) -> Result<(), OutOfMemory> {
        assert!(virt < USER_END, "{virt:#x} is not in user space");
        let at = entry_at(self.table_for(task, virt, 1)?, index(virt, 1));
        // SAFETY: an entry of a table of ours.
        unsafe {
            assert!(mode::read(at) == 0, "something is mapped at {virt:#x}");
            mode::write(at, mode::user_page(phys, writable, has_nx() && !executable));
        }
        Ok(())
    }

    /// Maps the frame at `phys` at `virt` in place of what is mapped there, to be read and written, and flushes what this CPU may have of
    /// the old one: a read would still find it.
    ///
    /// # Panics
    ///
    /// If nothing is mapped there.
    ///
    /// # Safety
    ///
    /// As for [`map`](Self::map).
    pub unsafe fn replace(&mut self, virt: usize, phys: u64) {
        let at = self.entry_of(virt).expect("something is mapped there");
        // SAFETY: an entry of a table of ours. Ring 0.
        unsafe {
            mode::clear(at);
            mode::write(at, mode::user_page(phys, true, has_nx()));
            tlb::flush(virt);
        }
    }

    /// Forbids writing at `virt`. The caller flushes, once for all pages: see [`flush_all`].
    ///
    /// # Panics
    ///
    /// If nothing is mapped there.
    pub fn write_protect(&mut self, virt: usize) {
        let at = self.entry_of(virt).expect("something is mapped there");
        // SAFETY: an entry of a table of ours.
        unsafe {
            let page = mode::decode(mode::read(at));
            mode::clear(at);
            mode::write(at, mode::user_page(page.address, false, page.no_execute));
        }
    }

    /// The entry that maps `virt`, if there is one.
    fn entry_of(&self, virt: usize) -> Option<*mut Raw> {
        let mut table = frame_address(&self.tops[0]);
        for level in (1..=levels()).rev() {
            let at = entry_at(table, index(virt, level));
            // SAFETY: an entry of a table of ours.
            let entry = unsafe { mode::read(at) };
            match entry {
                _ if entry & PRESENT == 0 => return None,
                _ if level == 1 => return Some(at),
                _ => table = address(entry),
            }
        }
        None
    }

    /// The table of this level for `virt`, made if it is missing. The copies of the top table lead to the same ones.
    fn table_for(&mut self, task: &mut MaySleep<'_>, virt: usize, level: u32) -> Result<u64, OutOfMemory> {
        let mut upper = self.copies().to_vec();
        for level in (level + 1..=levels()).rev() {
            let index = index(virt, level);
            // SAFETY: entries of tables of ours; an empty one is filled.
            let lower = match unsafe { mode::read(entry_at(upper[0], index)) } {
                0 => {
                    let frame = table(task)?;
                    let lower = frame_address(&frame);
                    for &upper in &upper {
                        // SAFETY: as above.
                        unsafe { mode::write(entry_at(upper, index), mode::user_table(lower, level)) };
                    }
                    self.lower.push(frame);
                    lower
                }
                entry => address(entry),
            };
            upper = Vec::from([lower]);
        }
        Ok(upper[0])
    }
}

/// Flushes all translations of this CPU that are not global, and so all of user space. Another CPU has none of this thread's.
pub(crate) fn flush_all() {
    // SAFETY: loads what is loaded; the thread does not move between the two.
    irq::with_disabled(|| unsafe { cr3_write(cr3()) });
}

/// An empty table.
fn table(task: &mut MaySleep<'_>) -> Result<SharedFrame, OutOfMemory> {
    let mut frame = frames::alloc(Zone::Low).ok_or(OutOfMemory)?;
    kmap_atomic(task.atomic().slots().user0, &mut frame).fill(0);
    // The processor may write into it: that something was accessed.
    Ok(frame.share())
}

fn frame_address(frame: &SharedFrame) -> u64 {
    highmem::Page::pfn(frame).address()
}

/// Entry `index` of the table at a physical address.
fn entry_at(table: u64, index: usize) -> *mut Raw {
    assert!(index < ENTRIES);
    let table = phys_to_virt(table).expect("a page table is in lowmem");
    core::ptr::with_exposed_provenance_mut::<Raw>(table).wrapping_add(index)
}
