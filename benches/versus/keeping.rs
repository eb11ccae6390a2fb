//! The same kernel with slots that it does not have: a lazy one, and a batch.

use highmem::local::Locals;
use highmem::{Kernel, Task};
use kernel::kmap::ExampleKernel;

highmem::km_types! {
    /// A slot that keeps its page, and a batch.
    pub mod km {
        atomic {
            kept: Kept lazy,
            many: Many[64],
        }
    }
}

/// The example kernel, on whose one CPU this runs, with other slots in its window.
pub struct Keeping;

// SAFETY: as `ExampleKernel`, in whose place it uses its window.
unsafe impl Kernel for Keeping {
    kernel::as_the_example_kernel!();

    type KmTypes = km::Set;
    type Cpus = <ExampleKernel as Kernel>::Cpus;
    type Machine = <ExampleKernel as Kernel>::Machine;
    type Fixmap = <ExampleKernel as Kernel>::Fixmap;

    const FIXMAP_BASE: usize = ExampleKernel::FIXMAP_BASE;
    const LOCALS: Locals = ExampleKernel::LOCALS;

    #[inline]
    fn fixmap() -> &'static Self::Fixmap {
        ExampleKernel::fixmap()
    }

    #[inline]
    fn cpu() -> usize {
        ExampleKernel::cpu()
    }

    #[inline]
    fn no_execute() -> bool {
        ExampleKernel::no_execute()
    }
}

/// A task of that kernel, which ends with nothing mapped.
pub fn enter(f: impl FnOnce(&mut Task<'_, Keeping>)) {
    // SAFETY: I1: the one thread of the one CPU, which has no mapping of `ExampleKernel`'s meanwhile; no interrupt handler has one.
    unsafe { Task::enter(f) }
}
