//! The map of physical memory, as the boot loader gave it.

use core::fmt;

use highmem::PAGE_SIZE;

/// One range of physical addresses.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// Its first physical address.
    pub start: u64,
    /// Its length in bytes.
    pub size: u64,
    /// What is there.
    pub kind: Kind,
}

impl Region {
    /// The first physical address behind it.
    pub fn end(&self) -> u64 {
        self.start + self.size
    }
}

/// What a region holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Memory for the kernel to use.
    Ram,
    /// Anything else, with its e820 type.
    Other(u32),
}

impl Kind {
    /// From an e820 type, which PVH uses too.
    pub fn from_e820(kind: u32) -> Self {
        if kind == 1 { Self::Ram } else { Self::Other(kind) }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ram => f.write_str("RAM"),
            Self::Other(2) => f.write_str("reserved"),
            Self::Other(3) => f.write_str("ACPI tables"),
            Self::Other(4) => f.write_str("ACPI NVS"),
            Self::Other(5) => f.write_str("unusable"),
            Self::Other(kind) => write!(f, "type {kind}"),
        }
    }
}

/// All regions; prints one a line.
#[derive(Clone, Copy)]
pub struct MemoryMap {
    regions: [Region; Self::CAPACITY],
    count: usize,
    /// The numbers of the frames of which a region is memory as a whole.
    ram: [(usize, usize); Self::CAPACITY],
    ram_count: usize,
}

impl MemoryMap {
    const CAPACITY: usize = 64;

    /// An empty map.
    pub const fn new() -> Self {
        let none = Region { start: 0, size: 0, kind: Kind::Other(0) };
        Self { regions: [none; Self::CAPACITY], count: 0, ram: [(0, 0); Self::CAPACITY], ram_count: 0 }
    }

    /// Adds a region.
    ///
    /// # Panics
    ///
    /// If the map is full (64 regions): memory that we forget could be memory that somebody else uses.
    pub fn push(&mut self, region: Region) {
        assert!(self.count < Self::CAPACITY, "more than {} memory regions", Self::CAPACITY);
        self.regions[self.count] = region;
        self.count += 1;
        let frame = |address: u64| usize::try_from(address / PAGE_SIZE as u64).unwrap_or(usize::MAX);
        let (start, end) = (frame(region.start.next_multiple_of(PAGE_SIZE as u64)), frame(region.end()));
        if region.kind == Kind::Ram && start < end {
            self.ram[self.ram_count] = (start, end);
            self.ram_count += 1;
        }
    }

    /// Every region, as the boot loader ordered them.
    pub fn regions(&self) -> &[Region] {
        &self.regions[..self.count]
    }

    /// The regions that are memory to use.
    pub fn ram(&self) -> impl Iterator<Item = &Region> {
        self.regions().iter().filter(|region| region.kind == Kind::Ram)
    }

    /// Whether all of a frame is memory to use. Asked at each level of each walk through page tables, so that it compares but numbers; what
    /// there is most of comes last in the map of a PC.
    #[inline]
    pub fn is_ram(&self, frame: usize) -> bool {
        self.ram[..self.ram_count].iter().rev().any(|&(start, end)| start <= frame && frame < end)
    }

    /// How many bytes of memory there are to use.
    pub fn total(&self) -> u64 {
        self.ram().map(|region| region.size).sum()
    }
}

impl Default for MemoryMap {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for MemoryMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for region in self.regions() {
            writeln!(f, "{:#011x}..{:#011x} {:8} KiB {}", region.start, region.end(), region.size >> 10, region.kind)?;
        }
        write!(f, "{} MiB of RAM", self.total() >> 20)
    }
}

static MAP: spin::Once<MemoryMap> = spin::Once::new();

static RSDP: spin::Once<u64> = spin::Once::new();

/// Keeps the map for [`map`], and the address for [`rsdp`].
pub(crate) fn init((map, rsdp): (MemoryMap, u64)) {
    MAP.call_once(|| map);
    RSDP.call_once(|| rsdp);
}

/// The machine's memory map.
///
/// # Panics
///
/// Before the kernel has copied it, which a program never sees.
#[inline]
pub fn map() -> &'static MemoryMap {
    MAP.get().expect("no memory map yet")
}

/// The physical address of the ACPI tables' root pointer; `None` if the boot loader has found none.
pub fn rsdp() -> Option<u64> {
    RSDP.get().copied().filter(|&address| address != 0)
}
