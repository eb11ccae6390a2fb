//! What every case starts from: a kernel whose frames are all lowmem, so that the passing cases run on any host, and the
//! few functions that kernel code has around it.
#![allow(dead_code, unused_imports)]

use std::cell::UnsafeCell;
use std::future::poll_fn;
use std::mem;
use std::num::NonZero;
use std::pin::pin;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

pub use embedded_io::{BufRead, Read, Write};
pub use highmem::linux::{BounceRead, Irq0, Irq1, Set, Softirq0, User0, User1};
pub use highmem::ops::{Cursor, Segment, SgWalk, memcpy_to_run, sg_copy_from_buffer};
pub use highmem::paging::Pae;
pub use highmem::{
    Atomic, BhOff, DeviceFrame, Fixmap, HardIrq, IrqsOff, Kernel, KmType, Kmap, KmapAtomic, Nmi, Page, PageBytes,
    PageRun, Pfn, Pool, PoolKernel, Slot, Softirq, UserKernel, copy_from_user, copy_from_user_inatomic,
    copy_page_from_user, copy_page_to_user, copy_to_user, copy_to_user_inatomic, get_user, kmap, kmap_all, kmap_atomic,
    kmap_pair, kunmap, kunmap_atomic, page_address, put_user, try_kmap,
};

pub type Task<'e> = highmem::Task<'e, MyKernel>;
pub type MaySleep<'e> = highmem::MaySleep<'e, MyKernel>;
pub type UserSlice = highmem::UserSlice<MyKernel>;
pub type Frame = highmem::Frame<Pae>;
pub type SharedFrame = highmem::SharedFrame<Pae>;
pub type FrameRun = highmem::FrameRun<Pae>;
pub type SharedFrameRun = highmem::SharedFrameRun<Pae>;

/// The functions of a kernel that is a process, in which nothing comes in between.
macro_rules! kernel_of_a_process {
    () => {
        fn cpu() -> usize {
            0
        }
        fn preempt_disable() {}
        unsafe fn preempt_enable() {}
        unsafe fn bh_enable() {}
        fn irq_save() -> bool {
            true
        }
        unsafe fn irq_restore(_were_on: bool) {}
        fn no_execute() -> bool {
            true
        }
        fn direct_map(pfn: highmem::Pfn<highmem::paging::Pae>) -> Option<std::ptr::NonNull<highmem::PageBytes>> {
            $crate::prelude::direct_map(pfn)
        }
    };
}
pub(crate) use kernel_of_a_process;

/// The functions of such a kernel that has a pool.
macro_rules! pool_of_a_process {
    () => {
        fn wait(
            _thread: &mut highmem::MaySleep<'_, Self>,
            _until: &(dyn Fn() -> bool + Sync),
        ) -> Result<(), highmem::kernel::GaveUp> {
            Err(highmem::kernel::GaveUp)
        }
        fn wake_one() {}
        fn on_other_cpus(_work: &(dyn Fn() + Sync)) {}
    };
}
pub(crate) use pool_of_a_process;

/// The user memory of such a kernel: a page at 0x1000 that reads as ones, and forgets what is written.
macro_rules! user_memory_of_a_process {
    () => {
        unsafe fn copy_from_user(to: *mut u8, from: usize, len: usize, _faults: highmem::kernel::Faults) -> usize {
            let left = $crate::prelude::beyond_user_memory(from, len);
            // SAFETY: within the `len` bytes.
            unsafe { to.write_bytes(1, len - left) };
            left
        }
        unsafe fn copy_to_user(to: usize, _from: *const u8, len: usize, _faults: highmem::kernel::Faults) -> usize {
            $crate::prelude::beyond_user_memory(to, len)
        }
    };
}
pub(crate) use user_memory_of_a_process;

/// How many bytes at the end are not in the one page of user memory.
pub fn beyond_user_memory(address: usize, len: usize) -> usize {
    if (0x1000..0x2000).contains(&address) { len.saturating_sub(0x2000 - address) } else { len }
}

pub struct MyKernel;

static FIXMAP: Fixmap<1> = Fixmap::new::<MyKernel>();
static POOL: Pool<512> = Pool::new::<MyKernel>();

const FRAMES: usize = 4;
#[repr(align(4096))]
struct Memory(UnsafeCell<[PageBytes; FRAMES]>);
// SAFETY: each frame is used through its `Frame` alone.
unsafe impl Sync for Memory {}
static MEMORY: Memory = Memory(UnsafeCell::new([[0; highmem::PAGE_SIZE]; FRAMES]));

// SAFETY: all frames are lowmem, so the window is never used; a process has no interrupts and no preemption to turn off.
unsafe impl Kernel for MyKernel {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U1;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;

    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }
    kernel_of_a_process!();
}

// SAFETY: as above, the pool is never used; there is one CPU.
unsafe impl PoolKernel for MyKernel {
    type PoolEntries = typenum::U2;
    type Pool = Pool<512>;
    const PKMAP_BASE: usize = 0xff80_0000;

    fn pool() -> &'static Pool<512> {
        &POOL
    }
    pool_of_a_process!();
}

// SAFETY: no user memory is ever accessed.
unsafe impl UserKernel for MyKernel {
    const USER_END: usize = 0xc000_0000;
    user_memory_of_a_process!();
}

/// Where the frames are.
pub fn direct_map(pfn: Pfn<Pae>) -> Option<NonNull<PageBytes>> {
    assert!(pfn.number() < FRAMES);
    NonNull::new(MEMORY.0.get().cast::<PageBytes>().wrapping_add(pfn.number()))
}

/// Runs `f` as a thread of the kernel.
pub fn thread<R>(f: impl FnOnce(&mut Task<'_>) -> R) -> R {
    // SAFETY: all frames are lowmem, so the pool is never used. The one thread of a passing case.
    unsafe {
        POOL.start::<MyKernel>();
        highmem::Task::enter(f)
    }
}

/// Runs `f` as an interrupt handler.
pub fn interrupt<R>(f: impl FnOnce(&mut HardIrq<'_, MyKernel>) -> R) -> R {
    // SAFETY: nothing else runs meanwhile.
    unsafe { HardIrq::enter(f) }
}

/// Runs `f` as a softirq.
pub fn softirq<R>(f: impl FnOnce(&mut Softirq<'_, MyKernel>) -> R) -> R {
    // SAFETY: nothing else runs meanwhile.
    unsafe { Softirq::enter(f) }
}

/// A frame of its own for each number.
pub fn frame(number: u64) -> Frame {
    // SAFETY: each case uses each number once.
    unsafe { Frame::from_pfn(Pfn::new(number).unwrap()) }
}

/// A frame that a user process has mapped.
pub fn user_frame(number: u64) -> SharedFrame {
    // SAFETY: each case uses each number once.
    unsafe { SharedFrame::from_pfn(Pfn::new(number).unwrap()) }
}

/// Two frames of its own for each even number.
pub fn run(first: u64) -> FrameRun {
    // SAFETY: each case uses each number once.
    unsafe { FrameRun::from_pfns(Pfn::new(first).unwrap(), NonZero::new(2).unwrap()) }.unwrap()
}

/// Two frames that a user process has mapped.
pub fn user_run(first: u64) -> SharedFrameRun {
    // SAFETY: each case uses each number once.
    unsafe { SharedFrameRun::from_pfns(Pfn::new(first).unwrap(), NonZero::new(2).unwrap()) }.unwrap()
}

/// Gives a frame back to the allocator.
pub fn free(_frame: Frame) {}

/// Gives a run back to the allocator.
pub fn free_run(_run: FrameRun) {}

/// Waits for an event. May sleep.
pub fn wait(_task: &mut Task<'_>) {}

/// Waits for an event that does not depend on the pool. May sleep.
pub fn sleep(_task: &mut MaySleep<'_>) {}

/// Puts a value into the queue of another CPU.
pub fn send_to_another_cpu<T: Send>(_value: T) {}

/// A variable of the kernel, under a lock.
pub struct Global<T>(Mutex<Option<T>>);

// SAFETY: the lock gives the value to one CPU at a time.
unsafe impl<T: Send> Sync for Global<T> {}

impl<T> Global<T> {
    pub const fn empty() -> Self {
        Self(Mutex::new(None))
    }
    pub fn put(&self, value: T) {
        *self.0.lock().unwrap() = Some(value);
    }
    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap().take()
    }
}

/// Runs `f` on another CPU, and waits for it. Takes the task, as everything that runs borrowed code elsewhere.
pub fn on_another_cpu(_task: &mut Task<'_>, f: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(f).join().unwrap());
}

/// Runs a future, each time it goes on on whatever CPU is free.
pub fn run_on_any_cpu(future: impl Future<Output = ()> + Send) {
    run_here(future);
}

/// Runs a future on this thread.
pub fn run_here(future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    while future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {}
}

/// Waits for the timer.
pub async fn next_tick() {
    let mut waited = false;
    poll_fn(|_| if mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

pub use highmem::BounceKernel;
pub use highmem::bounce::{Reach, Reserve, Segments, Submitted};

// SAFETY: there is no thread to go on on another CPU.
unsafe impl BounceKernel for MyKernel {
    fn wait(
        _thread: &mut highmem::MaySleep<'_, Self>,
        _until: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), highmem::kernel::GaveUp> {
        Err(highmem::kernel::GaveUp)
    }
    fn wake() {}
}

/// A reserve of one page for a device that reaches frame 0 alone, and what it moves.
pub type LowPages = Reserve<MyKernel, Frame, 1>;
pub type Request<'r> = Submitted<'r, MyKernel, FrameRun, Frame, 1, 2>;
pub type Parts = Segments<FrameRun, 2>;

/// The reserve, with frame 0.
pub fn low_pages() -> LowPages {
    let reserve = Reserve::new(Reach::of_bits(12).unwrap());
    reserve.add(frame(0)).unwrap();
    reserve
}

/// Some bytes of frames 2 and 3, which the device does not reach.
pub fn parts() -> Parts {
    let mut parts = Segments::new();
    parts.push(Segment::new(run(2), 0, 512).unwrap()).unwrap();
    parts
}

/// Tells a device what to do.
pub fn program(_request: &Request<'_>) {}

pub use highmem::PageTableKernel;
pub use highmem::paging::{Flags, Layout, PageSize};
pub use highmem::pagetable::{AddressSpace, Cpus, MustFlush, Pages, TableSource};

// SAFETY: there is memory at these frames, and no CPU uses the tables.
unsafe impl PageTableKernel for MyKernel {
    const PCIDS: bool = false;

    fn is_memory(pfn: Pfn<Pae>) -> bool {
        pfn.number() < FRAMES
    }
    fn on_cpus(_cpus: Cpus<Pae>, _work: &(dyn Fn() + Sync)) {}
}

/// An address space, and where its tables come from.
pub type Space = AddressSpace<MyKernel, Frame>;
pub struct Frames(Vec<Frame>);

impl TableSource for Frames {
    type Frame = Frame;

    fn take(&mut self) -> Option<Frame> {
        self.0.pop()
    }
    fn give_back(&mut self, frame: Frame) {
        self.0.push(frame);
    }
}

/// An address space in which the page at 0x1000 is mapped, and all frames that are left.
pub fn space(task: &mut Task<'_>) -> (Space, Frames) {
    let mut frames = Frames((1..4).map(frame).collect());
    let mut atomic = task.atomic();
    let slots = atomic.slots();
    let mut space = Space::new(slots.user0, frame(0), Pages::new(0, 1 << 18), Layout::new()).unwrap();
    let mut edit = space.edit(slots.pte0, slots.pte1, &mut frames);
    // SAFETY: no CPU uses the address space.
    let flush = unsafe { edit.map(0x1000, Pfn::new(7).unwrap(), PageSize::Small, Flags::USER) }.unwrap();
    edit.flush(flush);
    (space, frames)
}

pub use highmem::local::{Depth, InTask, Local, Locals, Room, SaveArea};
pub use highmem::{LocalKernel, kmap_local_page, kunmap_local};

/// A kernel that has local maps, three for a task, and is otherwise as `MyKernel`.
pub struct Nested;

static NESTED_FIXMAP: Fixmap<1> = Fixmap::new::<Nested>();
static AREA: SaveArea<3> = SaveArea::new();

pub type NestedTask<'e> = highmem::Task<'e, Nested>;
pub type NestedMaySleepHere<'e> = highmem::MaySleepHere<'e, Nested>;
pub type NestedMaySleep<'e> = highmem::MaySleep<'e, Nested>;

// SAFETY: as for `MyKernel`.
unsafe impl Kernel for Nested {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U1;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    const LOCALS: Locals = Locals::of::<Self>();

    fn fixmap() -> &'static Fixmap<1> {
        &NESTED_FIXMAP
    }
    kernel_of_a_process!();
}

// SAFETY: there is one thread, which is never switched out.
unsafe impl LocalKernel for Nested {
    type TaskLevels = typenum::U3;
    type AtomicLevels = typenum::U1;
    type SoftirqLevels = typenum::U0;
    type IrqLevels = typenum::U2;
    type NmiLevels = typenum::U0;
    type SaveArea = SaveArea<3>;

    fn save_area() -> NonNull<SaveArea<3>> {
        NonNull::from(&AREA)
    }
}

/// Runs `f` as a thread of that kernel.
pub fn nested_thread<R>(f: impl FnOnce(&mut NestedTask<'_>) -> R) -> R {
    // SAFETY: all frames are lowmem. The one thread of a passing case.
    unsafe { highmem::Task::enter(f) }
}

/// Waits for an event, and wakes up on the same CPU.
pub fn sleep_here(_task: &mut NestedMaySleepHere<'_>) {}

/// Runs `f` on another CPU, and waits for it.
pub fn elsewhere(_task: &mut NestedMaySleep<'_>, f: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(f).join().unwrap());
}
