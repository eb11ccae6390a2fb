//! What the crate `virtio_drivers` asks of a kernel: pages, registers, the configuration space, and where memory is for the device.
//!
//! Its queues take the memory of a request as slices, and ask the kernel for the physical address of each. Here, most of RAM has no address
//! that a slice could have. A mapping of all that the device reaches would give it one, and everybody else's pages a second one: writable,
//! there for ever, and referred to by slices while user space writes there.
//!
//! So no slice of a request has its memory in it. It lies where addresses stand for memory without having it: in the [`Window`], each
//! page of which is the same empty one. The queue only wants to know where a slice begins, and how long it is.
//!
//! [`Window::share`] says so, and [`Platform`] is asked by the queue alone.

use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::array;
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use highmem::PAGE_SIZE;
use pci_types::{ConfigRegionAccess, PciAddress};
use spin::Once;
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

use crate::arch::VIRTIO_BASE;
use crate::disk::{MAX_SECTORS, SECTOR};
use crate::paging::{self, ENTRIES, TABLE_SPAN, virt_to_phys};
use crate::pci::ConfigurationSpace;
use crate::sync::IrqLock;

/// The most descriptors that the queue has, and so the most slices of a request.
pub const DESCRIPTORS: usize = 128;

/// As long as the memory of a request, and so as a piece of it, can be.
const LONGEST: usize = MAX_SECTORS as usize * SECTOR;

/// Where registers are mapped, page after page: a page table's worth behind the window.
const REGISTERS: usize = VIRTIO_BASE + Window::SPAN;
const REGISTERS_END: usize = REGISTERS + TABLE_SPAN;

/// A piece of memory, for the device.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Its physical address.
    pub address: u64,
    /// Its length in bytes: not 0, and no more than a request can have.
    pub len: usize,
}

/// What slices that stand for memory are made of.
struct Window {
    /// The page table of all of it.
    table: Table,
    /// The page that all entries are of.
    page: Page,
    /// What each of its parts stands for, while a request is put into the queue: the physical address of a piece.
    addresses: [AtomicU64; DESCRIPTORS],
}

#[repr(C, align(4096))]
struct Table([AtomicU64; ENTRIES]);

#[repr(C, align(4096))]
struct Page(UnsafeCell<[u8; PAGE_SIZE]>);

// SAFETY: nobody accesses it.
unsafe impl Sync for Page {}

static WINDOW: Window = Window {
    table: Table([const { AtomicU64::new(0) }; _]),
    page: Page(UnsafeCell::new([0; PAGE_SIZE])),
    addresses: [const { AtomicU64::new(0) }; _],
};

impl Window {
    const SPAN: usize = DESCRIPTORS * LONGEST;

    /// Maps it, if it is not mapped yet.
    fn map(&'static self) {
        static MAPPED: Once<()> = Once::new();
        MAPPED.call_once(|| {
            let page = virt_to_phys(self.page.0.get() as usize);
            for entry in &self.table.0 {
                entry.store(paging::page(page, true, paging::has_nx()), Relaxed);
            }
            for virt in (VIRTIO_BASE..VIRTIO_BASE + Self::SPAN).step_by(TABLE_SPAN) {
                // SAFETY: the table is a static, of entries that do not change any more; the addresses are of no other use, and the page
                // behind them is of no other value.
                unsafe { paging::link_table(virt, (&raw const self.table).cast()) };
            }
        });
    }

    /// A slice that stands for a piece: slice `number` of a request.
    fn stand_in(&self, number: usize, piece: Piece) -> NonNull<[u8]> {
        assert!(self.table.0[0].load(Relaxed) != 0, "nothing is mapped");
        assert!((1..=LONGEST).contains(&piece.len), "a piece of {} bytes", piece.len);
        self.addresses[number].store(piece.address, Relaxed);
        let start = ptr::with_exposed_provenance_mut(VIRTIO_BASE + number * LONGEST);
        NonNull::new(ptr::slice_from_raw_parts_mut(start, piece.len)).expect("an address in the upper half")
    }

    /// Where the piece is for the device that a slice stands for.
    fn share(&self, slice: NonNull<[u8]>) -> PhysAddr {
        let offset = slice.cast::<u8>().addr().get().wrapping_sub(VIRTIO_BASE);
        let part = self.addresses.get(offset / LONGEST).expect("the queue has no memory but what stands in the window");
        part.load(Relaxed) + (offset % LONGEST) as u64
    }
}

/// Held while there are slices.
static SLICES: IrqLock<()> = IrqLock::new(());

/// Maps what slices are made of.
pub fn init() {
    WINDOW.map();
}

/// Has `f` put pieces of memory into the queue, or take them out, as slices: a request's header, its data, which the device writes if
/// `to_memory` says so, and where the device puts its status.
///
/// # Panics
///
/// If they are more than [`DESCRIPTORS`], or before [`init`].
pub fn with_slices<R>(
    header: Piece,
    data: &[Piece],
    status: Piece,
    to_memory: bool,
    f: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> R,
) -> R {
    let data = data.iter().map(|&piece| (piece, to_memory));
    let pieces = [(header, false)].into_iter().chain(data).chain([(status, true)]);
    SLICES.with(|()| {
        let mut inputs: [&[u8]; DESCRIPTORS] = [&[]; _];
        let mut outputs: [&mut [u8]; DESCRIPTORS] = array::from_fn(|_| Default::default());
        let (mut from, mut to) = (0, 0);
        for (number, (piece, to_memory)) in pieces.enumerate() {
            let mut slice = WINDOW.stand_in(number, piece);
            // SAFETY: the bytes are mapped since `init`, and those of each number are others; nobody else has such slices, by the lock.
            // They are of a page that nobody writes, reads, or relies on: the queue takes where they begin and how many they are
            // (`share`), and no more.
            unsafe {
                if to_memory {
                    outputs[to] = slice.as_mut();
                    to += 1;
                } else {
                    inputs[from] = slice.as_ref();
                    from += 1;
                }
            }
        }
        f(&inputs[..from], &mut outputs[..to])
    })
}

/// The kernel, for `virtio_drivers`.
#[derive(Debug)]
pub struct Platform;

fn pages_layout(pages: usize) -> Layout {
    Layout::array::<[u8; PAGE_SIZE]>(pages)
        .and_then(|layout| layout.align_to(PAGE_SIZE))
        .expect("a queue has a few pages")
}

// SAFETY: the requirements of each function. Pages are of the heap, which is in the kernel's image, and so one behind the other, and below
// 4 GiB. Registers are mapped for each call anew.
unsafe impl Hal for Platform {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // SAFETY: the queue has at least one page.
        match NonNull::new(unsafe { alloc_zeroed(pages_layout(pages)) }) {
            Some(start) => (virt_to_phys(start.addr().get()), start),
            None => (0, NonNull::dangling()), // which the crate takes for what it is
        }
    }

    unsafe fn dma_dealloc(_: PhysAddr, start: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: by this function's contract, they are from `dma_alloc`. The queue gives them back when the device has been reset.
        unsafe { dealloc(start.as_ptr(), pages_layout(pages)) };
        0
    }

    unsafe fn mmio_phys_to_virt(phys: PhysAddr, size: usize) -> NonNull<u8> {
        static NEXT: AtomicUsize = AtomicUsize::new(REGISTERS);
        let offset = phys as usize % PAGE_SIZE;
        let first = phys - offset as u64;
        let len = (offset + size).next_multiple_of(PAGE_SIZE);
        let virt = NEXT.fetch_add(len, Relaxed);
        assert!(virt + len <= REGISTERS_END, "no room for registers");
        for page in (0..len).step_by(PAGE_SIZE) {
            paging::map_device(virt + page, first + page as u64);
        }
        NonNull::new(ptr::with_exposed_provenance_mut(virt + offset)).expect("an address in the upper half")
    }

    unsafe fn share(slice: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        WINDOW.share(slice)
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

fn address_of(function: DeviceFunction) -> PciAddress {
    PciAddress::new(0, function.bus, function.device, function.function)
}

/// For the crate, which looks for registers there, and asks how large they are.
impl ConfigurationAccess for ConfigurationSpace {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        // SAFETY: reading has no effect.
        unsafe { self.read(address_of(function), offset.into()) }
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, value: u32) {
        // SAFETY: the crate writes what asks for the size of a device's registers, with the device off, and then what was there before.
        unsafe { self.write(address_of(function), offset.into(), value) }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self
    }
}
