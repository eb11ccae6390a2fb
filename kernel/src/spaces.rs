//! Address spaces whose page tables are in high memory: of `highmem`, for this kernel.
//!
//! In C, which CPUs use an address space is a mask beside it, and a switch that sets the mask too late, or clears it too early, is a CPU that
//! nobody has told: it walks tables that are free. The rule: a CPU counts as using the tables from before it loads them until after it has
//! loaded others, and while it changes over it counts as using all. Whoever changes an entry looks at this behind the change.
//!
//! [`AddressSpace`] says the rest: what was changed is an obligation, and tables come back behind the flush. The top table is where
//! CR3 reaches it, and all others are above 4 GiB, if there is such memory. Where each CPU has its own window, it has its own copy of the top
//! table in use, which it brings up to date when it loads the space, before it flushes, and when it misses something.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::{Relaxed, Release, SeqCst};

use highmem::kernel::Kernel as _;
use highmem::machine::X86;
use highmem::pagetable::{AddressSpace, Cpus, MustFlush, Pages, TableSource};
use highmem::paging::Layout;
use highmem::{PAGE_SIZE, Pfn};
use x86::controlregs::cr3_write;

use crate::arch::USER_END;
use crate::frames::{self, SharedFrame, Zone};
use crate::kmap::{ExampleKernel, Paging, Task};
use crate::paging::user::{OutOfMemory, Top};
use crate::paging::{self, LiveRoots};
use crate::probe::PageFault;
use crate::user::Current;
use crate::{cpu, ipi, smp};

/// An address space.
pub type Space = AddressSpace<ExampleKernel, SharedFrame>;
/// What CPUs have to forget.
pub type Flush = MustFlush<ExampleKernel, SharedFrame>;

/// The addresses of user space.
pub const USER: Pages = Pages::new(0, USER_END / PAGE_SIZE);

/// No top table, or just now neither one nor the other: numbers that no frame has.
const NONE: usize = usize::MAX;
const CHANGING: usize = usize::MAX - 1;

/// The number of the top table that each CPU uses, if it is one of a [`Space`].
static LOADED: [AtomicUsize; cpu::MAX] = [const { AtomicUsize::new(NONE) }; _];

/// The copies in use, where each CPU has its own.
static LIVE: LiveRoots = LiveRoots::new();

/// Tables of all spaces, but for the top ones.
static TABLES: AtomicUsize = AtomicUsize::new(0);

/// Flushes of this CPU, and of others.
static HERE: AtomicU64 = AtomicU64::new(0);
static ELSEWHERE: AtomicU64 = AtomicU64::new(0);

/// Where tables come from: the highest memory that there is.
#[derive(Clone, Copy, Debug)]
pub struct Tables;

impl TableSource for Tables {
    type Frame = SharedFrame;

    fn take(&mut self) -> Option<SharedFrame> {
        let frame = frames::alloc_for_table()?;
        TABLES.fetch_add(1, Relaxed);
        Some(frame.share())
    }

    fn give_back(&mut self, frame: SharedFrame) {
        TABLES.fetch_sub(1, Relaxed);
        drop(frame);
    }
}

/// How many tables there are below the top ones.
pub fn tables() -> usize {
    TABLES.load(Relaxed)
}

/// How often CPUs have flushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stats {
    /// The CPU that changed an address space.
    pub here: u64,
    /// Others that it has called for that, each counting as one.
    pub elsewhere: u64,
}

/// The flushes of address spaces so far.
pub fn stats() -> Stats {
    Stats { here: HERE.load(Relaxed), elsewhere: ELSEWHERE.load(Relaxed) }
}

/// How tables are laid out on this machine.
pub fn layout() -> Layout<Paging> {
    let layout = Layout::new().with_levels(paging::levels() as usize).expect("the processor has so many levels");
    layout.physical_address_bits(X86::physical_address_bits()).expect("the processor has so many bits")
}

/// An address space with the kernel's half, and nothing in user space.
///
/// # Errors
///
/// If there is no frame for the top table.
pub fn new(task: &mut Task<'_>) -> Result<Space, OutOfMemory> {
    let frame = if paging::CPUS_DIFFER {
        // Read where there are no slots: at a switch.
        frames::alloc(Zone::Low)
    } else if cfg!(target_arch = "x86") {
        // CR3 has 32 bits.
        frames::alloc(Zone::High).or_else(|| frames::alloc(Zone::Low))
    } else {
        frames::alloc_for_table()
    };
    let root = frame.ok_or(OutOfMemory)?.share();
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    let space = Space::new(slots.pte0.reborrow(), root, USER, layout());
    let mut space = space.expect("the top table is where it can be");
    let kernel = Pfn::containing(paging::final_root()).expect("the image is within reach");
    // SAFETY: a top table of this layout, whose entries for the kernel are final. No CPU uses the new one.
    unsafe { space.share_rest(slots.pte0, slots.pte1, kernel) };
    Ok(space)
}

/// Unmaps all of it, and frees its tables.
///
/// # Panics
///
/// If an entry is corrupt.
///
/// # Safety
///
/// No thread uses the address space.
pub unsafe fn free(task: &mut Task<'_>, mut space: Space) {
    let mut atomic = task.atomic();
    let slots = atomic.slots();
    let mut source = Tables;
    let mut edit = space.edit(slots.pte0, slots.pte1, &mut source);
    let flush = edit.unmap(USER, |_| ()).expect("no table is corrupt");
    edit.flush(flush);
    // SAFETY: by this function's contract; what was changed is flushed.
    drop(unsafe { space.into_root() });
}

/// Runs `f` in this thread with the address space of this top table. What it accesses there and is not mapped is a fault.
///
/// # Panics
///
/// If the thread has an address space already; or if each CPU has its own window, and there is no direct map, in which to read the top table.
///
/// # Safety
///
/// The top table is that of a [`Space`] that is not freed before this function returns.
pub unsafe fn with_root<R>(task: &mut Task<'_>, root: Pfn<Paging>, f: impl FnOnce(&mut Task<'_>) -> R) -> R {
    // SAFETY: by this function's contract.
    unsafe { Current::with_top(task, Top::Root(root), None, |task, _| f(task)) }
}

/// Runs `work` on the CPUs that use an address space, or on all, and waits for them: of `PageTableKernel`.
pub(crate) fn on_cpus(cpus: Cpus<Paging>, work: &(dyn Fn() + Sync)) {
    let is_concerned = |cpu: usize| match cpus {
        Cpus::OfSpace(root) => [root.number(), CHANGING].contains(&LOADED[cpu].load(SeqCst)),
        Cpus::All => true,
    };
    let work = || {
        refresh();
        work();
    };
    if is_concerned(ExampleKernel::cpu()) {
        HERE.fetch_add(1, Relaxed);
        work();
    }
    if (0..smp::count()).any(|cpu| cpu != ExampleKernel::cpu() && is_concerned(cpu)) {
        ipi::call_those(is_concerned, &|_| {
            ELSEWHERE.fetch_add(1, Relaxed);
            work();
        });
    }
}

/// This CPU is about to load a top table. Called with interrupts off, as what follows.
pub(crate) fn begin_load() {
    LOADED[cpu::number()].store(CHANGING, SeqCst);
}

/// This CPU has loaded it.
pub(crate) fn end_load(root: Option<Pfn<Paging>>) {
    LOADED[cpu::number()].store(root.map_or(NONE, Pfn::number), Release);
}

/// Loads the top table of an address space.
///
/// # Safety
///
/// The tables stay until this CPU has loaded others.
pub(crate) unsafe fn load(root: Pfn<Paging>) {
    let address = if paging::CPUS_DIFFER {
        // SAFETY: the kernel's own; behind it, nobody uses this CPU's copy.
        unsafe {
            cr3_write(paging::kernel_root());
            LIVE.refresh(root.address());
        }
        LIVE.physical()
    } else {
        root.address()
    };
    // SAFETY: by this function's contract; the kernel is mapped there, too.
    unsafe { cr3_write(address) }
}

/// Whether a page fault comes of a copy of the top table that lacked what has been mapped since: then it has it now, and the access can be
/// tried again. Called with interrupts off.
pub(crate) fn catches_up(fault: PageFault) -> bool {
    !fault.was_present() && fault.address < USER_END && refresh()
}

/// Where this CPU has a copy of the top table that it uses, has that say what the table says now. Says whether it has said something else.
fn refresh() -> bool {
    let root = LOADED[cpu::number()].load(Relaxed);
    // SAFETY: this CPU's own copy; preemption or interrupts are off.
    paging::CPUS_DIFFER && root < CHANGING && unsafe { LIVE.refresh((root * PAGE_SIZE) as u64) }
}
