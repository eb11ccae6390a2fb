//! The heap behind `alloc`: a static buffer and a buddy allocator.
//!
//! The frame allocator keeps its free lists here, a tree node of 64 bytes for 5 to 11 free blocks. So 4 MiB hold about
//! 300 000 free blocks that do not merge; a program that leaves more holes than that ends in a panic.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};

use buddy_system_allocator::Heap;

use crate::sync::IrqLock;

const SIZE: usize = 4 << 20;

/// One more than the binary logarithm of the largest block.
const ORDERS: usize = SIZE.ilog2() as usize + 1;

#[repr(C, align(4096))]
struct Space(UnsafeCell<[u8; SIZE]>);

// SAFETY: the allocator behind the lock is the only one to use it.
unsafe impl Sync for Space {}

struct KernelHeap(IrqLock<Heap<ORDERS>>);

static SPACE: Space = Space(UnsafeCell::new([0; SIZE]));

#[global_allocator]
static HEAP: KernelHeap = KernelHeap(IrqLock::new(Heap::empty()));

/// Gives the allocator its memory; once.
pub fn init() {
    // SAFETY: the buffer is nobody else's, and this runs once.
    HEAP.0.with(|heap| unsafe { heap.init(SPACE.0.get() as usize, SIZE) });
}

// SAFETY: the buddy allocator hands out disjoint blocks of the static buffer, of the size and alignment asked for.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.with(|heap| heap.alloc(layout)).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let block = NonNull::new(block).expect("free of a null pointer");
        // SAFETY: by the contract of `GlobalAlloc`, the block came from `alloc` with this layout.
        self.0.with(|heap| unsafe { heap.dealloc(block, layout) });
    }
}
