//! What highmem has to know of this kernel: the three things that one writes.
//!
//! 1. The trait `Kernel`.
//! 2. The window, linked into the page tables.
//! 3. Contexts, entered where the kernel begins to run.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use highmem::machine::{Machine, X86};
use highmem::{Fixmap, Kernel, PAGE_SIZE, PageBytes, Pfn, linux, selftest};

use crate::boot::WINDOW_DIRECTORY;
use crate::faults;

/// This kernel, for highmem.
pub enum MyKernel {}

/// A thread of this kernel: what code takes that maps pages, and may sleep.
pub type Task<'e> = highmem::Task<'e, MyKernel>;
/// A page frame.
pub type Frame = highmem::Frame<<MyKernel as Kernel>::Paging>;

/// Where the direct map ends, and high memory begins: see `boot.rs`.
pub const DIRECT_MAP_END: u64 = 1 << 30;

/// The page table behind the window, with an entry for each slot.
static FIXMAP: Fixmap<1> = Fixmap::new::<MyKernel>();

/// How often preemption is off.
static PREEMPT_COUNT: AtomicU32 = AtomicU32::new(0);

// ---- 1. The trait: what the kernel promises. Each item of its checklist is answered here. ----

// SAFETY: the checklist of `Kernel`.
// The window: `link_window` links its one table, writable, before the first thread runs; there is
// one address space, and nobody else uses the second GiB. `boot.rs` sets CR0.WP, and neither
// CR4.PGE nor CR4.PCIDE; nobody writes IA32_PAT. The tables are those of `Paging`. Frames come from
// `frames.rs`, which asks the processor how far it reaches.
// The CPU: there is one, and one thread. There are no softirqs. Interrupts are off from `irq_save`
// on. The count of preemption has no end before that of a `u32`, where it stops the kernel.
// Lowmem: the first GiB is mapped where it is, as memory, for good, and ends where the window begins.
unsafe impl Kernel for MyKernel {
    #[cfg(target_arch = "x86")]
    type Paging = highmem::paging::Pae;
    #[cfg(target_arch = "x86_64")]
    type Paging = highmem::paging::Long;

    /// The slots that Linux had; for others there is `highmem::km_types!`.
    type KmTypes = linux::Set;
    type Cpus = typenum::U1;
    type Machine = X86;
    type Fixmap = Fixmap<1>;

    /// Right behind the direct map.
    const FIXMAP_BASE: usize = DIRECT_MAP_END as usize;

    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }

    /// With more CPUs: the number of the one that runs this.
    fn cpu() -> usize {
        0
    }

    /// With a scheduler: it looks at the count, and switches only if it is 0.
    fn preempt_disable() {
        // A context can be forgotten, so the count may come to its end. It must not begin again.
        let count = PREEMPT_COUNT.load(Relaxed).checked_add(1);
        PREEMPT_COUNT.store(count.expect("the count of preemption has an end"), Relaxed);
    }

    unsafe fn preempt_enable() {
        PREEMPT_COUNT.store(PREEMPT_COUNT.load(Relaxed) - 1, Relaxed);
    }

    fn irq_save() -> bool {
        let were_on = X86::interrupts_on() == Some(true);
        // SAFETY: ring 0.
        unsafe { x86::irq::disable() };
        were_on
    }

    unsafe fn irq_restore(were_on: bool) {
        if were_on {
            // SAFETY: ring 0; the matching `irq_save` found interrupts on.
            unsafe { x86::irq::enable() };
        }
    }

    fn no_execute() -> bool {
        true // `cpu.rs` sets EFER.NXE
    }

    /// `None` is high memory: it has no address until it is mapped.
    fn direct_map(pfn: Pfn<Self::Paging>) -> Option<NonNull<PageBytes>> {
        if pfn.address() >= DIRECT_MAP_END {
            return None;
        }
        // Frame 0 would be at the null pointer, which is none for Rust: it is mapped as if it were high.
        NonNull::new(ptr::with_exposed_provenance_mut(pfn.number() * PAGE_SIZE))
    }
}

// ---- 2. The window: its page table into the page directory, before anything is mapped. ----

/// Links the window's table into the page directory.
pub fn link_window() {
    const PRESENT_AND_WRITABLE: u64 = 3;
    let directory: *mut u64 = WINDOW_DIRECTORY.0.get().cast();
    for (index, table) in FIXMAP.tables().iter().enumerate() {
        // In the direct map, an address is the physical address.
        let entry = (&raw const *table).addr() as u64 | PRESENT_AND_WRITABLE;
        // SAFETY: within the directory; the entry was empty, and what it leads to is highmem's,
        // which answers for what it maps. Volatile, since the processor reads it.
        unsafe { directory.add(index).write_volatile(entry) };
    }
}

// ---- 3. Contexts: where a thread, or an interrupt handler, begins. ----

/// Runs the first thread. Whatever maps pages gets its `Task`, from here, as a parameter.
///
/// # Safety
/// Called once, with interrupts on, where the first thread begins.
pub unsafe fn start(f: impl FnOnce(&mut Task<'_>)) {
    // SAFETY: the caller's promise; preemption is on, and there is no other thread.
    unsafe { Task::enter(f) }
}

// An interrupt handler that maps pages does the same, once, in what its gate calls:
//
//     // SAFETY: called by the gate of an interrupt, with interrupts off.
//     unsafe { highmem::HardIrq::<MyKernel>::enter(|irq| handler(irq)) }

// ---- And then: is it as promised? ----

/// A page of the image.
#[repr(C, align(4096))]
struct ImagePage([u64; PAGE_SIZE / size_of::<u64>()]);

/// Two pages for the self-test, which tells them apart by their first words. Nobody else looks at them.
static TEST_PAGES: [ImagePage; 2] = [ImagePage([0x1111; _]), ImagePage([0x2222; _])];

/// Maps each slot, and looks whether the page is there, and gone afterwards.
pub fn check(task: &mut Task<'_>) {
    let [first, second] = TEST_PAGES.each_ref().map(|page| {
        let address = (&raw const *page).addr() as u64; // the physical one, in the direct map
        let pfn = Pfn::containing(address).expect("the image is in the first GiB");
        // SAFETY: a page of the image that is only ever read, and only here.
        (unsafe { Frame::from_pfn(pfn) }, page.0[0])
    });
    let result = selftest(task, [(&first.0, first.1), (&second.0, second.1)], faults::read);
    result.unwrap_or_else(|wrong| panic!("the window is not as promised: {wrong}"));
}
