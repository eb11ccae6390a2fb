//! The frame allocator: all free RAM, in 4 KiB frames, in three zones.
//!
//! A frame is named by its page frame number (pfn), which is its physical address divided by 4096. Lowmem frames have an
//! address in the direct map, the others have none; frames above 4 GiB have a zone of their own, so that a test can ask
//! for a frame whose number does not fit into a 32-bit page-table entry. Without PAE that zone is empty.
//!
//! Never handed out: the first MiB, and the kernel's image.

use core::fmt;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop};
use core::num::NonZero;
use core::sync::atomic::{AtomicUsize, Ordering};

use buddy_system_allocator::FrameAllocator;
use highmem::page::{Access, ReadWrite, Volatile};
use highmem::pagetable::TableFrame;
use highmem::paging::Paging as _;
use highmem::{PAGE_SIZE, Page, PageRun, Pfn};

use crate::kmap::Paging;
use crate::memory::MemoryMap;
use crate::paging::{self, LOWMEM_LIMIT};
use crate::sync::IrqLock;

/// One more than the binary logarithm of the largest block, in frames: 4 GiB.
const ORDERS: usize = 21;

/// Behind the numbers that this paging mode has for frames: what lies beyond is not used. Where a number can be any `usize`, the last
/// one is not used either.
const PFN_END: usize = if Paging::PFN_BITS < usize::BITS { 1 << Paging::PFN_BITS } else { usize::MAX };

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// In the direct map.
    Low,
    /// Above [`LOWMEM_LIMIT`] and below 4 GiB.
    High,
    /// At 4 GiB and above.
    Above4G,
}

impl Zone {
    /// All zones.
    pub const ALL: [Self; 3] = [Self::Low, Self::High, Self::Above4G];

    /// The zone that a frame number belongs to.
    pub const fn of(pfn: usize) -> Self {
        if pfn < Self::High.first() {
            Self::Low
        } else if pfn < Self::Above4G.first() {
            Self::High
        } else {
            Self::Above4G
        }
    }

    /// Whether this paging mode has numbers for the frames of the zone: without PAE, none lie above 4 GiB.
    pub const fn is_reachable(self) -> bool {
        self.first() < self.end()
    }

    /// The lowest number that a frame in this zone can have.
    const fn first(self) -> usize {
        match self {
            Self::Low => 0,
            Self::High => LOWMEM_LIMIT / PAGE_SIZE,
            Self::Above4G => 1 << 20,
        }
    }

    /// The number behind the highest that a frame in this zone can have.
    const fn end(self) -> usize {
        match self {
            Self::Low => Self::High.first(),
            Self::High => Self::Above4G.first(),
            Self::Above4G => PFN_END,
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "lowmem",
            Self::High => "highmem below 4 GiB",
            Self::Above4G => "highmem above 4 GiB",
        })
    }
}

/// How many frames a zone has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Frames to hand out now.
    pub free: usize,
    /// Frames in all.
    pub total: usize,
}

struct Frames {
    allocator: FrameAllocator<ORDERS>,
    stats: Stats,
    /// Whether there is a [`Hoard`].
    hoarded: bool,
}

impl Frames {
    const fn new() -> Self {
        Self { allocator: FrameAllocator::new(), stats: Stats { free: 0, total: 0 }, hoarded: false }
    }
}

/// Indexed by [`Zone`].
static ZONES: [IrqLock<Frames>; 3] = [const { IrqLock::new(Frames::new()) }; 3];
static HIGHEST: AtomicUsize = AtomicUsize::new(0);

/// A frame of RAM that belongs to this value, and goes back to its zone when it is dropped.
///
/// As it comes from [`alloc()`], nobody else touches its bytes. After [`share`](Self::share) others may.
#[derive(Debug)]
pub struct Frame<A = ReadWrite> {
    pfn: Pfn<Paging>,
    access: PhantomData<A>,
}

/// A frame whose bytes others may write at any time: user space, a device.
pub type SharedFrame = Frame<Volatile>;

// SAFETY: a frame that the allocator has handed out is RAM, and nobody else's until it is dropped. It is not `Clone`. With
// `ReadWrite` there has been no other user; `Volatile` allows them.
unsafe impl<A: Access> Page for Frame<A> {
    type Paging = Paging;
    type Access = A;

    #[inline]
    fn pfn(&self) -> Pfn<Paging> {
        self.pfn
    }
}

// SAFETY: a run of one frame, which is a page by itself.
unsafe impl<A: Access> PageRun for Frame<A> {
    type Paging = Paging;
    type Access = A;

    #[inline]
    fn first(&self) -> Pfn<Paging> {
        self.pfn
    }

    #[inline]
    fn pages(&self) -> NonZero<usize> {
        NonZero::<usize>::MIN
    }
}

// SAFETY: the frame stays handed out while nobody is its owner, and its bytes are volatile for whoever uses them.
unsafe impl TableFrame for SharedFrame {
    type Paging = Paging;

    fn into_pfn(self) -> Pfn<Paging> {
        ManuallyDrop::new(self).pfn
    }

    unsafe fn from_pfn(pfn: Pfn<Paging>) -> Self {
        // SAFETY: by the caller's promise, it was handed out, and nobody else has it.
        unsafe { Self::from_number(pfn.number()) }
    }
}

impl<A> Frame<A> {
    /// # Safety
    /// The allocator has handed out this frame, and nobody else has it.
    unsafe fn from_number(number: usize) -> Self {
        Self { pfn: Pfn::new(number as u64).expect("RAM is within reach"), access: PhantomData }
    }
}

impl Frame {
    /// Lets others use the frame as well.
    pub fn share(self) -> SharedFrame {
        let number = ManuallyDrop::new(self).pfn.number();
        // SAFETY: the frame moves from one value to the other.
        unsafe { Frame::from_number(number) }
    }
}

impl<A> Drop for Frame<A> {
    fn drop(&mut self) {
        let number = self.pfn.number();
        ZONES[Zone::of(number) as usize].with(|frames| {
            frames.allocator.dealloc(number, 1);
            frames.stats.free += 1;
        });
    }
}

/// Takes the frame with the lowest number of the smallest free block of a zone; `None` if the zone is empty.
pub fn alloc(zone: Zone) -> Option<Frame> {
    take(zone, |allocator| allocator.alloc(1))
}

/// Takes a frame that has no address: one above 4 GiB, if there is one.
pub fn alloc_highmem() -> Option<Frame> {
    alloc(Zone::Above4G).or_else(|| alloc(Zone::High))
}

/// Takes a frame for a page table, wherever there is one: above 4 GiB first, and in lowmem last.
pub fn alloc_for_table() -> Option<Frame> {
    alloc_highmem().or_else(|| alloc(Zone::Low))
}

/// Takes the frame with this number; `None` if it is not free.
pub fn alloc_at(number: usize) -> Option<Frame> {
    take(Zone::of(number), |allocator| allocator.alloc_at(number, 1))
}

fn take(zone: Zone, from: impl FnOnce(&mut FrameAllocator<ORDERS>) -> Option<usize>) -> Option<Frame> {
    ZONES[zone as usize].with(|frames| {
        if frames.hoarded {
            return None;
        }
        let number = from(&mut frames.allocator)?;
        frames.stats.free -= 1;
        // SAFETY: the allocator has just handed it out.
        Some(unsafe { Frame::from_number(number) })
    })
}

/// All free frames of a zone, and those that become free: nobody gets one until this is dropped.
#[derive(Debug)]
pub struct Hoard {
    zone: Zone,
}

/// Keeps all frames of a zone that are free.
///
/// # Panics
///
/// If somebody has them already.
pub fn hoard(zone: Zone) -> Hoard {
    let other = ZONES[zone as usize].with(|frames| mem::replace(&mut frames.hoarded, true));
    assert!(!other, "the frames of {zone} are hoarded already");
    Hoard { zone }
}

impl Drop for Hoard {
    fn drop(&mut self) {
        ZONES[self.zone as usize].with(|frames| frames.hoarded = false);
    }
}

/// How many frames a zone has.
pub fn stats(zone: Zone) -> Stats {
    ZONES[zone as usize].with(|frames| frames.stats)
}

/// The highest number that a frame of RAM within reach has, handed out or not.
pub fn highest_pfn() -> usize {
    HIGHEST.load(Ordering::Relaxed)
}

/// Fills the zones.
pub(crate) fn init(map: &MemoryMap) {
    let first_free = frame_at_or_after(paging::virt_to_phys(paging::image().end));
    for region in map.ram() {
        let start = frame_at_or_after(region.start);
        let end = (region.end() / PAGE_SIZE as u64).min(PFN_END as u64) as usize;
        if start >= end {
            continue;
        }
        HIGHEST.fetch_max(end - 1, Ordering::Relaxed);
        for zone in Zone::ALL {
            add(zone, start.max(zone.first()).max(first_free), end.min(zone.end()));
        }
    }
}

fn add(zone: Zone, start: usize, end: usize) {
    if start < end {
        ZONES[zone as usize].with(|frames| {
            frames.allocator.add_frame(start, end);
            frames.stats.free += end - start;
            frames.stats.total += end - start;
        });
    }
}

fn frame_at_or_after(phys: u64) -> usize {
    phys.div_ceil(PAGE_SIZE as u64).min(PFN_END as u64) as usize
}
