//! The tables of address spaces: what an entry of each level says, and how it is read and changed while the processor uses it (SDM vol. 3,
//! 5.3 to 5.5).

use core::fmt;
use core::marker::PhantomData;
use core::ops::{BitOr, RangeInclusive};

use super::format::bits64::paging::PTFlags;

use super::pat::{MemoryType, Pat, PatIndex};
use super::{NonPae, PAGE_SHIFT, Pae, Paging, sealed};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::Pfn;

const PRESENT: u64 = PTFlags::P.bits();
const WRITABLE: u64 = PTFlags::RW.bits();
const USER: u64 = PTFlags::US.bits();
const ACCESSED: u64 = PTFlags::A.bits();
const DIRTY: u64 = PTFlags::D.bits();
const GLOBAL: u64 = PTFlags::G.bits();
const NO_EXECUTE: u64 = PTFlags::XD.bits();

/// PS in a directory: the entry maps a large page. In a page table the same bit is PAT.
const LARGE: u64 = 1 << 7;
/// PAT in an entry of a page.
const PAT: u64 = 1 << 7;
/// PAT in an entry of a large page.
const PAT_OF_LARGE: u64 = 1 << 12;
/// PWT and PCD.
const CACHE: u64 = (PTFlags::PWT.bits()) | (PTFlags::PCD.bits());

/// What an entry allows and says of a page, beside its frame.
///
/// ```
/// use highmem::paging::Flags;
///
/// let flags = Flags::WRITABLE | Flags::USER;
/// assert!(flags.contains(Flags::USER) && !flags.contains(Flags::NO_EXECUTE));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u64);

impl Flags {
    /// The page can be read, and instructions fetched; by the kernel alone.
    pub const READ: Self = Self(0);
    /// The page can be written.
    pub const WRITABLE: Self = Self(WRITABLE);
    /// User space, too, can do what the others say.
    pub const USER: Self = Self(USER);
    /// No instruction can be fetched. Has no effect where entries have no such bit: without PAE, or where
    /// [`Kernel::no_execute`](crate::Kernel::no_execute) says no.
    pub const NO_EXECUTE: Self = Self(NO_EXECUTE);
    /// The translation belongs to all address spaces.
    pub const GLOBAL: Self = Self(GLOBAL);
    /// The processor has used the entry.
    pub const ACCESSED: Self = Self(ACCESSED);
    /// The processor has written through the entry.
    pub const DIRTY: Self = Self(DIRTY);

    /// Whether all of `other` are among these.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether none of `other` is among these.
    pub const fn is_disjoint(self, other: Self) -> bool {
        self.0 & other.0 == 0
    }

    /// These and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These, but none of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// With this memory type, which kernel `K`'s page attribute table has. Without it, pages are write-back.
    ///
    /// Does not compile if [`Kernel::PAT`](crate::Kernel::PAT) is known not to have it; panics elsewhere.
    #[must_use]
    pub const fn cached<K: Kernel>(self, memory_type: MemoryType) -> Self {
        let cache = K::PAT.index_of(memory_type).bits() as u64;
        Self(self.0 & !(CACHE | PAT) | cache)
    }

    /// The memory type that they mean with this page attribute table.
    pub const fn memory_type(self, pat: Pat) -> MemoryType {
        pat.memory_type(PatIndex::of_bits((self.0 & (CACHE | PAT)) as u32))
    }

    /// What a page can be used for if the levels above allow this: it is writable, or the user's, only if each level says so, and executable
    /// only if none forbids it (SDM vol. 3, 5.6.1). The rest stays.
    #[must_use]
    #[inline]
    pub(crate) const fn limited_by(self, level_above: Self) -> Self {
        let rights = WRITABLE | USER;
        Self(self.0 & !rights | self.0 & level_above.0 & rights | level_above.0 & NO_EXECUTE)
    }

    /// These, with the bits of the processor as `current` has them.
    #[must_use]
    pub(crate) const fn as_used(self, current: Self) -> Self {
        let used = ACCESSED | DIRTY;
        Self(self.0 & !used | current.0 & used)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |flag, name| if self.contains(flag) { name } else { "" };
        let cache = PatIndex::of_bits((self.0 & (CACHE | PAT)) as u32);
        write!(
            f,
            "Flags(r{}{}{}{}{}{}, {cache:?})",
            name(Self::WRITABLE, "w"),
            if self.contains(Self::NO_EXECUTE) { "" } else { "x" },
            name(Self::USER, " user"),
            name(Self::GLOBAL, " global"),
            name(Self::ACCESSED, " accessed"),
            name(Self::DIRTY, " dirty"),
        )
    }
}

/// How much one entry maps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PageSize {
    /// A page: 4 KiB.
    Small,
    /// What one page table covers: 2 MiB, or 4 MiB without PAE. Linux: a PMD mapping.
    Large,
    /// 1 GiB, in 64-bit mode. Linux: a PUD mapping.
    Huge,
}

impl PageSize {
    /// The level of the tables whose entries map so much: those of pages have level 1.
    pub(crate) const fn level(self) -> usize {
        self as usize + 1
    }

    pub(crate) const fn of_level(level: usize) -> Self {
        match level {
            1 => Self::Small,
            2 => Self::Large,
            _ => Self::Huge,
        }
    }

    /// How many pages of 4 KiB that are.
    pub const fn pages<M: Paging>(self) -> usize {
        M::ENTRIES_PER_TABLE.pow(self as u32)
    }
}

/// How the tables of an address space are laid out, and what this processor allows in them.
///
/// ```
/// use highmem::paging::{Layout, PageSize, Pae};
///
/// let layout = Layout::<Pae>::new().physical_address_bits(36)?;
/// assert_eq!((layout.levels(), layout.largest()), (3, PageSize::Large));
/// # Ok::<(), highmem::paging::LayoutError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout<M> {
    levels: usize,
    largest: PageSize,
    /// The bits of a frame's address, which an entry has at the same places.
    frames: u64,
    /// The bits that are reserved in each entry, NX aside.
    reserved: u64,
    paging: PhantomData<M>,
}

/// A paging mode has no such tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LayoutError;

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("page tables in this paging mode cannot be laid out so")
    }
}

impl core::error::Error for LayoutError {}

/// What a present entry must not say, or not here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Wrong {
    /// A bit is set that has to be clear: using the entry faults.
    ReservedBit,
    /// It refers to a table in a frame that is not memory, or where no table can be.
    NoTable,
}

/// What an entry says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content<M> {
    /// It is not present.
    Nothing,
    /// It refers to a table of the level below, with what that may allow at the most.
    Table(Pfn<M>, Flags),
    /// It maps a page, of the size of this level.
    Maps(Pfn<M>, Flags),
}

impl<M: Paging> Layout<M> {
    /// As all processors with this paging mode have it: 2 levels without PAE, 3 with, and 4 in 64-bit mode; as many physical-address bits as
    /// the mode has frame numbers for; large pages, but no huge ones.
    pub const fn new() -> Self {
        let new =
            Self { levels: *M::LEVELS.start(), largest: PageSize::Large, frames: 0, reserved: 0, paging: PhantomData };
        new.reaching(M::PFN_BITS + PAGE_SHIFT)
    }

    /// With so many bits of physical address.
    const fn reaching(self, bits: u32) -> Self {
        let above = match (M::PAE, M::LONG_MODE) {
            (false, _) => 0,
            (true, false) => NO_EXECUTE - (1 << bits),
            // What is above these is left to software.
            (true, true) => (1 << 52) - (1 << bits),
        };
        Self { frames: (1 << bits) - (1 << PAGE_SHIFT), reserved: above, ..self }
    }

    /// With so many levels: in 64-bit mode, 4 or 5 (CR4.LA57).
    ///
    /// # Errors
    /// When the mode has not.
    pub const fn with_levels(self, levels: usize) -> Result<Self, LayoutError> {
        if levels < *M::LEVELS.start() || levels > *M::LEVELS.end() {
            return Err(LayoutError);
        }
        Ok(Self { levels, ..self })
    }

    /// On a processor with so many bits of physical address: MAXPHYADDR,
    /// [`X86::physical_address_bits`](crate::machine::X86::physical_address_bits). The bits above are reserved.
    ///
    /// # Errors
    /// When there are more than 52, or too few for one page. Those for which the mode has no frame numbers do not count.
    pub const fn physical_address_bits(self, bits: u32) -> Result<Self, LayoutError> {
        let most = M::PFN_BITS + PAGE_SHIFT;
        if bits <= PAGE_SHIFT || bits > 52 {
            return Err(LayoutError);
        }
        Ok(self.reaching(if bits < most { bits } else { most }))
    }

    /// With pages up to this size: [`Small`](PageSize::Small) where CR4.PSE is clear and there is no PAE, [`Huge`](PageSize::Huge) where the
    /// processor has pages of 1 GiB (CPUID.80000001H:EDX bit 26).
    ///
    /// # Errors
    /// When the mode has no such pages.
    pub const fn with_largest(self, largest: PageSize) -> Result<Self, LayoutError> {
        if matches!(largest, PageSize::Huge) && !M::LONG_MODE {
            return Err(LayoutError);
        }
        Ok(Self { largest, ..self })
    }

    /// How many levels of tables there are.
    #[inline]
    pub const fn levels(self) -> usize {
        // For most modes it is known when this is compiled.
        if *M::LEVELS.start() == *M::LEVELS.end() { *M::LEVELS.start() } else { self.levels }
    }

    /// How large a page can be.
    pub const fn largest(self) -> PageSize {
        self.largest
    }

    /// How many bits an index into a table has.
    const INDEX_BITS: u32 = M::ENTRIES_PER_TABLE.trailing_zeros();

    /// How many bits the numbers of virtual pages have.
    pub(crate) const fn page_bits(self) -> u32 {
        if M::LONG_MODE { Self::INDEX_BITS * self.levels() as u32 } else { 32 - PAGE_SHIFT }
    }

    /// By how many bits the number of a page is shifted to give that of the entry in the tables of this level.
    #[inline]
    pub(crate) const fn shift(level: usize) -> u32 {
        Self::INDEX_BITS * (level as u32 - 1)
    }

    /// Which entry of a table of this level is on the way to a page.
    #[inline]
    pub(crate) const fn index(level: usize, page: usize) -> usize {
        page >> Self::shift(level) & (M::ENTRIES_PER_TABLE - 1)
    }

    /// The number of the page at an address, counted from the lowest address on and without a gap; `None` if no page can be there.
    #[inline]
    pub(crate) fn page(self, address: usize) -> Option<usize> {
        let unused = usize::BITS - (self.page_bits() + PAGE_SHIFT);
        let extended =
            if M::LONG_MODE { ((address << unused) as isize >> unused) as usize } else { address << unused >> unused };
        (extended == address).then_some(address << unused >> unused >> PAGE_SHIFT)
    }

    /// The address of a page: the reverse of [`page`](Self::page).
    #[inline]
    pub(crate) fn address(self, page: usize) -> usize {
        let unused = if M::LONG_MODE { usize::BITS - self.page_bits() - PAGE_SHIFT } else { 0 };
        ((page << PAGE_SHIFT << unused) as isize >> unused) as usize
    }

    /// Whether the processor can address the frames of a page of this size. With PAE, a top-level table is below 4 GiB: CR3 has 32 bits.
    pub(crate) fn reaches(self, pfn: Pfn<M>, size: PageSize) -> bool {
        let last = pfn.address() | (size.pages::<M>() as u64 - 1) << PAGE_SHIFT;
        last & !self.frames == 0
    }

    /// Whether the top-level table can be in this frame: with PAE, CR3 has 32 bits.
    pub(crate) fn reaches_root(self, pfn: Pfn<M>) -> bool {
        self.reaches(pfn, PageSize::Small) && (M::LONG_MODE || pfn.address() >> 32 == 0)
    }

    /// Whether entries of this level are the four that a CPU loads together with CR3, and never looks at again (SDM vol. 3, 5.4.1).
    #[inline]
    pub(crate) const fn is_loaded_with_cr3(self, level: usize) -> bool {
        M::PAE && !M::LONG_MODE && level == self.levels()
    }

    /// The entry of this level that refers to a table. It allows everything: what is allowed, the entries of pages say.
    pub(crate) fn table(self, level: usize, pfn: Pfn<M>) -> u64 {
        let allowed = if self.is_loaded_with_cr3(level) { 0 } else { WRITABLE | USER | ACCESSED };
        pfn.address() | allowed | PRESENT
    }

    /// The entry that maps a page of this size.
    pub(crate) fn entry(self, size: PageSize, pfn: Pfn<M>, flags: Flags, no_execute: bool) -> u64 {
        let mut bits = flags.0;
        if !(M::PAE && no_execute) {
            bits &= !NO_EXECUTE;
        }
        if size != PageSize::Small {
            let pat = if bits & PAT != 0 { PAT_OF_LARGE } else { 0 };
            bits = bits & !PAT | pat | LARGE;
        }
        pfn.address() | bits | PRESENT
    }

    /// The bits that are reserved in all entries.
    #[inline]
    const fn reserved(self, no_execute: bool) -> u64 {
        self.reserved | if M::PAE && !no_execute { NO_EXECUTE } else { 0 }
    }

    /// The table that an entry of this level, above 1, refers to, with what the entry may allow at the most; `None` if it does not.
    #[inline]
    pub(crate) fn table_of(self, level: usize, entry: u64, no_execute: bool) -> Option<(Pfn<M>, Flags)> {
        if entry & (PRESENT | LARGE | self.reserved(no_execute)) != PRESENT {
            return None;
        }
        let limits = if self.is_loaded_with_cr3(level) {
            // Not the accessed bit: QEMU sets it here, too.
            if entry & (WRITABLE | USER | DIRTY | GLOBAL | NO_EXECUTE) != 0 {
                return None;
            }
            WRITABLE | USER
        } else {
            entry & (WRITABLE | USER | NO_EXECUTE)
        };
        Some((self.frame_of(entry), Flags(limits)))
    }

    /// What an entry of this level maps; `None` if it does not.
    #[inline]
    pub(crate) fn page_of(self, level: usize, entry: u64, no_execute: bool) -> Option<(Pfn<M>, Flags)> {
        let flags = WRITABLE | USER | CACHE | ACCESSED | DIRTY | GLOBAL | NO_EXECUTE;
        if level == 1 {
            let is_page = entry & (PRESENT | self.reserved(no_execute)) == PRESENT;
            return is_page.then(|| (self.frame_of(entry), Flags(entry & (flags | PAT))));
        }
        // The low bits of the frame's number, behind PAT.
        let low = (1 << (Self::shift(level) + PAGE_SHIFT)) - (PAT_OF_LARGE << 1);
        let is_page = entry & (PRESENT | LARGE | low | self.reserved(no_execute)) == PRESENT | LARGE;
        if level > self.largest.level() || self.is_loaded_with_cr3(level) || !is_page {
            return None;
        }
        Some((self.frame_of(entry & !PAT_OF_LARGE), Flags(entry & flags | (entry & PAT_OF_LARGE) >> 5)))
    }

    /// The frame in an entry that is present.
    #[inline]
    fn frame_of(self, entry: u64) -> Pfn<M> {
        Pfn::in_entry(entry & self.frames)
    }

    /// What an entry of this level says.
    pub(crate) fn content(self, level: usize, entry: u64, no_execute: bool) -> Result<Content<M>, Wrong> {
        if entry & PRESENT == 0 {
            return Ok(Content::Nothing);
        }
        if level > 1
            && let Some((pfn, limits)) = self.table_of(level, entry, no_execute)
        {
            return Ok(Content::Table(pfn, limits));
        }
        match self.page_of(level, entry, no_execute) {
            Some((pfn, flags)) => Ok(Content::Maps(pfn, flags)),
            None => Err(Wrong::ReservedBit),
        }
    }
}

impl<M: Paging> Default for Layout<M> {
    fn default() -> Self {
        Self::new()
    }
}

/// Of a paging mode: how the entries of tables in use are read and changed. Sealed: a supertrait of [`Paging`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a paging mode",
    note = "`Paging` is sealed: the paging modes are `NonPae`, `Pae` and `Long`"
)]
pub trait Tables: sealed::Sealed + Send + Sync + Sized + 'static {
    /// How many levels of tables there can be.
    const LEVELS: RangeInclusive<usize>;

    /// How many bytes an entry has.
    const ENTRY_SIZE: usize;

    /// What an entry says now. The processor and other CPUs may change it at any time: it was true at one moment.
    ///
    /// # Safety
    /// `at` points to an entry of a table that is mapped.
    #[doc(hidden)]
    unsafe fn load<X: Machine>(at: *const u8) -> u64;

    /// Replaces the entry by `new` if it says `current`, in one step; else says what it says.
    ///
    /// # Safety
    /// `at` points to an entry of a table that is mapped writable, and whoever else changes it does so in this way, or is a page walker.
    #[doc(hidden)]
    unsafe fn exchange<X: Machine>(at: *mut u8, current: u64, new: u64) -> Result<(), u64>;
}

impl Tables for NonPae {
    const LEVELS: RangeInclusive<usize> = 2..=2;
    const ENTRY_SIZE: usize = size_of::<u32>();

    #[inline]
    unsafe fn load<X: Machine>(at: *const u8) -> u64 {
        // SAFETY: I10: one load.
        unsafe { X::read(at.cast::<u32>()) }.into()
    }

    #[inline]
    unsafe fn exchange<X: Machine>(at: *mut u8, current: u64, new: u64) -> Result<(), u64> {
        // SAFETY: the caller's promise.
        unsafe { X::exchange(at.cast::<u32>(), current as u32, new as u32) }.map(drop).map_err(u64::from)
    }
}

impl Tables for Pae {
    const LEVELS: RangeInclusive<usize> = 3..=3;
    const ENTRY_SIZE: usize = size_of::<u64>();

    #[inline]
    unsafe fn load<X: Machine>(at: *const u8) -> u64 {
        // Not by `cmpxchg8b`, which writes.
        let halves = at.cast::<u32>();
        loop {
            // SAFETY: I10: reading changes nothing, and both halves lie in the entry.
            let [low, high, again] = unsafe { [0, 1, 0].map(|half| X::read(halves.add(half))) };
            if low == again {
                return u64::from(high) << 32 | u64::from(low);
            }
        }
    }

    #[inline]
    unsafe fn exchange<X: Machine>(at: *mut u8, current: u64, new: u64) -> Result<(), u64> {
        // SAFETY: the caller's promise.
        unsafe { X::exchange(at.cast::<u64>(), current, new) }.map(drop)
    }
}

#[cfg(target_pointer_width = "64")]
impl Tables for super::Long {
    const LEVELS: RangeInclusive<usize> = 4..=5;
    const ENTRY_SIZE: usize = size_of::<u64>();

    #[inline]
    unsafe fn load<X: Machine>(at: *const u8) -> u64 {
        // SAFETY: I10: one load.
        unsafe { X::read(at.cast::<u64>()) }
    }

    #[inline]
    unsafe fn exchange<X: Machine>(at: *mut u8, current: u64, new: u64) -> Result<(), u64> {
        // SAFETY: the caller's promise.
        unsafe { X::exchange(at.cast::<u64>(), current, new) }.map(drop)
    }
}
