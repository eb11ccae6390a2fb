//! The traits of the crate [`x86_64`](https://docs.rs/x86_64), by way of slots: what its `OffsetPageTable` does for a kernel that maps all
//! physical memory.

use core::cell::RefCell;
use core::fmt;

use ::x86_64::structures::paging::mapper::{
    FlagUpdateError, MapToError, MappedFrame, MapperFlush, MapperFlushAll, TranslateError, TranslateResult, UnmapError,
};
use ::x86_64::structures::paging::page_table::PageTableFlags;
use ::x86_64::structures::paging::{
    FrameAllocator, Mapper, Page, PageSize, PhysFrame, Size1GiB, Size2MiB, Size4KiB, Translate,
};
use ::x86_64::{PhysAddr, VirtAddr};

use super::table::Table;
use crate::kernel::{Kernel, PageTableKernel};
use crate::page::Pfn;
use crate::paging::{Layout, Long, PAGE_SHIFT, PageSize as Size};
use crate::slot::{KmType, Slot};

/// A tree of four levels of page tables, as the crate [`x86_64`](https://docs.rs/x86_64) has it: with its types, its allocators and its traits
/// `Mapper` and `Translate`, and with two slots in place of a map of all physical memory.
///
/// For a kernel that is written for that crate, and changes where it makes its mapper. It has that crate's rules, too: who changes an entry
/// flushes one CPU, or ignores it, and tables stay until somebody frees them. [`AddressSpace`](super::AddressSpace) has better ones.
///
/// As everywhere here, an operation that fails has changed nothing, entries are exchanged in one step, and a table in a frame that is not
/// memory is an error: where that crate has no error for it, it is said to be a huge page. Frames that an allocator gave for an operation that
/// failed are kept for the next.
///
/// ```
/// # use highmem::{Kernel, PageTableKernel, Slot, linux::{Set, Pte0, Pte1}, paging::Long};
/// use highmem::pagetable::WindowMapper;
/// use x86_64::structures::paging::{FrameAllocator, Mapper, Page, PageTableFlags, PhysFrame, Size4KiB};
///
/// # fn example<K: PageTableKernel<Paging = Long, KmTypes = Set>>(
/// #     pte0: Slot<'_, K, Pte0>, pte1: Slot<'_, K, Pte1>, level_4_frame: PhysFrame,
/// #     page: Page, frame: PhysFrame, frame_allocator: &mut impl FrameAllocator<Size4KiB>,
/// # ) {
/// // instead of `OffsetPageTable::new(level_4_table, physical_memory_offset)`
/// // SAFETY: the frame is that of the level 4 table.
/// let mut mapper = unsafe { WindowMapper::new(pte0, pte1, level_4_frame) };
/// # // SAFETY: never called.
/// # unsafe {
/// mapper
///     .map_to(page, frame, PageTableFlags::PRESENT | PageTableFlags::WRITABLE, frame_allocator)
///     .unwrap()
///     .ignore(); // or `flush()`
/// # }
/// # }
/// ```
pub struct WindowMapper<'cx, K: Kernel, S, T> {
    root: Pfn<Long>,
    slot: RefCell<Slot<'cx, K, S>>,
    second_slot: Slot<'cx, K, T>,
    spare: [Option<PhysFrame>; LEVELS - 1],
}

const LEVELS: usize = 4;
const PRESENT: u64 = PageTableFlags::PRESENT.bits();
const HUGE: u64 = PageTableFlags::HUGE_PAGE.bits();
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Why there is no such entry.
enum Miss {
    NotMapped,
    Huge,
    Invalid(PhysAddr),
}

impl<'cx, K, S, T> WindowMapper<'cx, K, S, T>
where
    K: PageTableKernel<Paging = Long>,
    S: KmType<Set = K::KmTypes>,
    T: KmType<Set = K::KmTypes>,
{
    /// For the tree below this level 4 table.
    ///
    /// # Safety
    /// The table is that of a valid tree, whose frames are tables for as long as the mapper is there, and which nobody else changes meanwhile
    /// but the processor.
    pub unsafe fn new(slot: Slot<'cx, K, S>, second_slot: Slot<'cx, K, T>, level_4_table: PhysFrame) -> Self {
        let Ok(root) = Pfn::containing(level_4_table.start_address().as_u64()) else {
            unreachable!("a physical address has 52 bits at the most")
        };
        Self { root, slot: RefCell::new(slot), second_slot, spare: [None; LEVELS - 1] }
    }

    /// The level 4 table: for CR3.
    pub fn level_4_frame(&self) -> PhysFrame {
        PhysFrame::containing_address(PhysAddr::new(self.root.address()))
    }

    /// The table that an entry refers to.
    fn table_of(entry: u64) -> Result<Pfn<Long>, Miss> {
        if entry & PRESENT == 0 {
            return Err(Miss::NotMapped);
        }
        if entry & HUGE != 0 {
            return Err(Miss::Huge);
        }
        let address = PhysAddr::new(entry & ADDRESS);
        Pfn::containing(address.as_u64()).ok().filter(|&pfn| K::is_memory(pfn)).ok_or(Miss::Invalid(address))
    }

    /// Shows `look` the table of this level, and its index, which is on the way to an address.
    fn at<R>(
        &self,
        address: VirtAddr,
        level: usize,
        look: impl FnOnce(&Table<'_, '_, K, S>, usize) -> R,
    ) -> Result<R, Miss> {
        let page = number(address);
        let mut slot = self.slot.borrow_mut();
        let mut pfn = self.root;
        for above in (level + 1..=LEVELS).rev() {
            let entry = Table::<K, S>::map(slot.reborrow(), pfn).load(Layout::<Long>::index(above, page));
            pfn = Self::table_of(entry)?;
        }
        Ok(look(&Table::map(slot.reborrow(), pfn), Layout::<Long>::index(level, page)))
    }

    /// Replaces the flags of an entry that is in use.
    fn set_flags(&self, address: VirtAddr, level: usize, flags: PageTableFlags) -> Result<(), FlagUpdateError> {
        let is_set = self.at(address, level, |table, index| {
            let mut current = table.load(index);
            while current != 0 {
                match table.exchange(index, current, current & ADDRESS | flags.bits()) {
                    Ok(()) => return true,
                    Err(now) => current = now,
                }
            }
            false
        });
        match is_set {
            Ok(true) => Ok(()),
            Ok(false) | Err(Miss::NotMapped) => Err(FlagUpdateError::PageNotMapped),
            Err(Miss::Huge | Miss::Invalid(_)) => Err(FlagUpdateError::ParentEntryHugePage),
        }
    }

    /// What the entry of a page says, if it is in use.
    fn entry(&self, address: VirtAddr, level: usize) -> Result<u64, TranslateError> {
        match self.at(address, level, |table, index| table.load(index)) {
            Ok(0) | Err(Miss::NotMapped) => Err(TranslateError::PageNotMapped),
            Ok(entry) => Ok(entry),
            Err(Miss::Huge) => Err(TranslateError::ParentEntryHugePage),
            Err(Miss::Invalid(address)) => Err(TranslateError::InvalidFrameAddress(address)),
        }
    }

    /// Fills the entry of a page, which is not in use.
    fn map<P: PageSize, A: FrameAllocator<Size4KiB> + ?Sized>(
        &mut self,
        (page, frame, level): (Page<P>, PhysFrame<P>, usize),
        entry: u64,
        parents: u64,
        allocator: &mut A,
    ) -> Result<(), MapToError<P>> {
        let (address, number) = (page.start_address(), number(page.start_address()));
        // Down to the entry, or to the last table on the way.
        let (mut last, mut pfn, mut lacks_flags) = (LEVELS, self.root, false);
        let slot = self.slot.get_mut();
        loop {
            let entry = Table::<K, S>::map(slot.reborrow(), pfn).load(Layout::<Long>::index(last, number));
            if entry == 0 {
                break;
            }
            if last == level {
                return Err(MapToError::PageAlreadyMapped(frame));
            }
            pfn = Self::table_of(entry).map_err(|_| MapToError::ParentEntryHugePage)?;
            lacks_flags |= entry & parents != parents;
            last -= 1;
        }
        for spare in &mut self.spare[..last - level] {
            *spare =
                Some(spare.take().or_else(|| allocator.allocate_frame()).ok_or(MapToError::FrameAllocationFailed)?);
        }
        if lacks_flags {
            for above in last + 1..=LEVELS {
                let grant = |table: &Table<'_, '_, K, S>, index| {
                    let mut current = table.load(index);
                    while let Err(now) = table.exchange(index, current, current | parents) {
                        current = now;
                    }
                };
                self.at(address, above, grant).map_err(|_| MapToError::ParentEntryHugePage)?;
            }
        }
        let mut below = entry;
        for (new_level, spare) in (level..last).zip(&mut self.spare) {
            let Some(new) = spare.take() else { unreachable!("there are as many as levels") };
            let Ok(new_pfn) = Pfn::containing(new.start_address().as_u64()) else {
                unreachable!("a physical address has 52 bits at the most")
            };
            let table = Table::<K, T>::map(self.second_slot.reborrow(), new_pfn);
            table.clear();
            table.write(Layout::<Long>::index(new_level, number), below);
            below = new.start_address().as_u64() | PRESENT | parents;
        }
        let table = Table::<K, S>::map(self.slot.get_mut().reborrow(), pfn);
        table.replace(Layout::<Long>::index(last, number), below);
        Ok(())
    }
}

/// The number of the page at an address.
fn number(address: VirtAddr) -> usize {
    (address.as_u64() << 16 >> 16 >> PAGE_SHIFT) as usize
}

/// Implements `Mapper` for pages of a size, whose entries are in tables of this level.
macro_rules! mapper {
    ($($size:ident: $level:expr, $large:expr;)*) => {$(
        impl<K, S, T> Mapper<$size> for WindowMapper<'_, K, S, T>
        where
            K: PageTableKernel<Paging = Long>,
            S: KmType<Set = K::KmTypes>,
            T: KmType<Set = K::KmTypes>,
        {
            unsafe fn map_to_with_table_flags<A>(
                &mut self,
                page: Page<$size>,
                frame: PhysFrame<$size>,
                flags: PageTableFlags,
                parent_table_flags: PageTableFlags,
                allocator: &mut A,
            ) -> Result<MapperFlush<$size>, MapToError<$size>>
            where
                A: FrameAllocator<Size4KiB> + ?Sized,
            {
                let entry = frame.start_address().as_u64() | flags.bits() | $large;
                self.map((page, frame, $level), entry, parent_table_flags.bits(), allocator)?;
                Ok(MapperFlush::new(page))
            }

            fn unmap(&mut self, page: Page<$size>) -> Result<(PhysFrame<$size>, MapperFlush<$size>), UnmapError> {
                let taken = self.at(page.start_address(), $level, |table, index| {
                    let mut current = table.load(index);
                    loop {
                        if current & PRESENT == 0 {
                            return Err(UnmapError::PageNotMapped);
                        }
                        if current & HUGE != $large && $level > 1 {
                            return Err(UnmapError::ParentEntryHugePage);
                        }
                        let address = PhysAddr::new(current & ADDRESS);
                        let frame = PhysFrame::from_start_address(address)
                            .map_err(|_| UnmapError::InvalidFrameAddress(address))?;
                        match table.exchange(index, current, 0) {
                            Ok(()) => return Ok(frame),
                            Err(now) => current = now,
                        }
                    }
                });
                let frame = match taken {
                    Ok(frame) => frame?,
                    Err(Miss::NotMapped) => return Err(UnmapError::PageNotMapped),
                    Err(Miss::Huge) => return Err(UnmapError::ParentEntryHugePage),
                    Err(Miss::Invalid(address)) => return Err(UnmapError::InvalidFrameAddress(address)),
                };
                Ok((frame, MapperFlush::new(page)))
            }

            unsafe fn update_flags(
                &mut self,
                page: Page<$size>,
                flags: PageTableFlags,
            ) -> Result<MapperFlush<$size>, FlagUpdateError> {
                let flags = flags | PageTableFlags::from_bits_truncate($large);
                self.set_flags(page.start_address(), $level, flags)?;
                Ok(MapperFlush::new(page))
            }

            unsafe fn set_flags_p4_entry(
                &mut self,
                page: Page<$size>,
                flags: PageTableFlags,
            ) -> Result<MapperFlushAll, FlagUpdateError> {
                self.set_flags(page.start_address(), 4, flags).map(|()| MapperFlushAll::new())
            }

            unsafe fn set_flags_p3_entry(
                &mut self,
                page: Page<$size>,
                flags: PageTableFlags,
            ) -> Result<MapperFlushAll, FlagUpdateError> {
                if $level >= 3 {
                    return Err(FlagUpdateError::ParentEntryHugePage);
                }
                self.set_flags(page.start_address(), 3, flags).map(|()| MapperFlushAll::new())
            }

            unsafe fn set_flags_p2_entry(
                &mut self,
                page: Page<$size>,
                flags: PageTableFlags,
            ) -> Result<MapperFlushAll, FlagUpdateError> {
                if $level >= 2 {
                    return Err(FlagUpdateError::ParentEntryHugePage);
                }
                self.set_flags(page.start_address(), 2, flags).map(|()| MapperFlushAll::new())
            }

            fn translate_page(&self, page: Page<$size>) -> Result<PhysFrame<$size>, TranslateError> {
                let address = PhysAddr::new(self.entry(page.start_address(), $level)? & ADDRESS);
                PhysFrame::from_start_address(address).map_err(|_| TranslateError::InvalidFrameAddress(address))
            }
        }
    )*};
}

mapper! {
    Size4KiB: Size::Small.level(), 0;
    Size2MiB: Size::Large.level(), HUGE;
    Size1GiB: Size::Huge.level(), HUGE;
}

impl<K, S, T> Translate for WindowMapper<'_, K, S, T>
where
    K: PageTableKernel<Paging = Long>,
    S: KmType<Set = K::KmTypes>,
    T: KmType<Set = K::KmTypes>,
{
    fn translate(&self, address: VirtAddr) -> TranslateResult {
        let page = number(address);
        let mut slot = self.slot.borrow_mut();
        let (mut level, mut pfn) = (LEVELS, self.root);
        let entry = loop {
            let entry = Table::<K, S>::map(slot.reborrow(), pfn).load(Layout::<Long>::index(level, page));
            match (level, Self::table_of(entry)) {
                (1, _) | (2..=3, Err(Miss::Huge)) => break entry,
                (_, Ok(table)) => (level, pfn) = (level - 1, table),
                (_, Err(Miss::Invalid(address))) => return TranslateResult::InvalidFrameAddress(address),
                (_, Err(Miss::NotMapped | Miss::Huge)) => return TranslateResult::NotMapped,
            }
        };
        if entry == 0 {
            return TranslateResult::NotMapped;
        }
        let start = PhysAddr::new(entry & ADDRESS);
        let frame = match level {
            1 => MappedFrame::Size4KiB(PhysFrame::containing_address(start)),
            2 => MappedFrame::Size2MiB(PhysFrame::containing_address(start)),
            _ => MappedFrame::Size1GiB(PhysFrame::containing_address(start)),
        };
        let offset = address.as_u64() & (frame.size() - 1);
        TranslateResult::Mapped { frame, offset, flags: PageTableFlags::from_bits_truncate(entry) }
    }
}

impl<K: Kernel, S, T> fmt::Debug for WindowMapper<'_, K, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowMapper({:?})", self.root)
    }
}
