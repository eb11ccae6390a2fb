//! A kernel for another processor, that names x86's.

#![no_std]

use core::ptr::NonNull;

use highmem::machine::X86;
use highmem::paging::Pae;
use highmem::{Fixmap, Kernel, PageBytes, Pfn};

pub struct MyKernel;

static FIXMAP: Fixmap<1> = Fixmap::new::<MyKernel>();

// SAFETY: does not compile.
unsafe impl Kernel for MyKernel {
    type Paging = Pae;
    type KmTypes = highmem::linux::Set;
    type Cpus = highmem::typenum::U1;
    type Machine = X86;
    type Fixmap = Fixmap<1>;

    const FIXMAP_BASE: usize = 0xffc0_0000;

    fn fixmap() -> &'static Fixmap<1> {
        &FIXMAP
    }

    fn cpu() -> usize {
        0
    }

    fn preempt_disable() {}

    unsafe fn preempt_enable() {}

    fn irq_save() -> bool {
        false
    }

    unsafe fn irq_restore(_: bool) {}

    fn no_execute() -> bool {
        true
    }

    fn direct_map(_: Pfn<Pae>) -> Option<NonNull<PageBytes>> {
        None
    }
}

pub fn clear(task: &mut highmem::Task<'_, MyKernel>, page: &mut highmem::Frame<Pae>) {
    let mut atomic = task.atomic();
    highmem::kmap_atomic(atomic.slots().user0, page).fill(0);
}
