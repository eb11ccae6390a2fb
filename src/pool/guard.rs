//! Guards: pages that are mapped, until they are dropped.

use core::fmt;
use core::marker::PhantomData;
use core::panic::Location;

use super::span::Span;
use super::work::Work;
use crate::cache::At;
use crate::debug::HeldBy;
use crate::kernel::PoolKernel;
use crate::machine::Machine;
use crate::page::{Page, Pfn};
use crate::slot::Invariant;
use crate::trace;

/// A page mapped for all CPUs; dropping it unmaps.
///
/// It is a `[u8; 4096]` where the page's [`Access`](crate::page::Access) allows that, and offers copies where it does not. It may go to other threads as far
/// as the page may: its address is the same on all CPUs.
#[must_use = "the page is unmapped as soon as the guard is dropped"]
#[clippy::has_significant_drop]
pub struct Kmap<'cx, K: PoolKernel, P> {
    // Dropped in this order: the page may be freed only when it is unmapped (I5).
    mapping: Mapping<'cx, K, P>,
    page: P,
}

/// An address, and the duty to leave its entry if it is one of the pool. As in [`atomic`](crate::atomic), it owns what it protects, and it is
/// invariant in the kernel (I1).
struct Mapping<'cx, K: PoolKernel, P> {
    at: At<K>,
    held_by: HeldBy<'cx>,
    /// As long as the borrow of the context, which waits for no other entry meanwhile.
    context: PhantomData<&'cx mut ()>,
    kernel: Invariant<K>,
    until_unmapped: PhantomData<P>,
}

/// Unmaps, and gives back the page. Linux: `kunmap()`.
///
/// Takes nothing but the guard that [`kmap`](super::kmap()) and its like returned:
///
/// ```compile_fail
/// # use highmem::{Frame, PoolKernel, Task, kmap, kunmap};
/// fn clear<K: PoolKernel>(task: &mut Task<'_, K>, page: &mut Frame<K::Paging>) {
///     let (mut bytes, _) = kmap(task, &mut *page).unwrap();
///     bytes.fill(0);
///     kunmap(page); // the page is not the mapping
/// }
/// ```
#[inline]
pub fn kunmap<G, P>(guard: G) -> P
where
    G: PoolGuard<Page = P>,
{
    guard.unmap()
}

/// A mapping that [`kmap`](super::kmap()) and its like made, and [`kunmap`] ends. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a mapping of the kmap pool, so it cannot be unmapped",
    label = "expected the guard that `kmap` returned",
    note = "keep the guard: `let (guard, task) = kmap(task, page)?;`, and pass it here, or let it go out of scope",
    note = "the guard gives the page back: `let page = kunmap(guard);`",
    note = "what `kmap_atomic` has mapped is unmapped by `kunmap_atomic`"
)]
pub trait PoolGuard: sealed::Guard {
    /// The page that comes back.
    type Page;

    #[doc(hidden)]
    fn unmap(self) -> Self::Page;
}

#[diagnostic::do_not_recommend]
impl<K: PoolKernel, P> PoolGuard for Kmap<'_, K, P> {
    type Page = P;

    #[inline]
    fn unmap(self) -> P {
        let Self { mapping, page } = self;
        drop(mapping);
        page
    }
}

impl<K: PoolKernel, P> sealed::Guard for Kmap<'_, K, P> {}

impl<'cx, K: PoolKernel, P> Kmap<'cx, K, P> {
    /// A guard of a page that has just been mapped.
    #[inline]
    pub(super) fn new(address: usize, page: P, held_by: HeldBy<'cx>, caller: &'static Location<'static>) -> Self
    where
        P: Page<Paging = K::Paging>,
    {
        if const { K::TRACED } && Span::<K>::contains(address) {
            trace::pool_mapped::<K, P>(&page, address, caller);
        }
        Self {
            mapping: Mapping {
                at: At::begin(&page, address),
                held_by,
                context: PhantomData,
                kernel: PhantomData,
                until_unmapped: PhantomData,
            },
            page,
        }
    }

    /// The page that is mapped.
    #[inline]
    pub fn page(&self) -> &P {
        &self.page
    }

    /// The address at which the page is mapped, on all CPUs, for as long as the guard lives. Nothing in this crate takes it back.
    #[inline]
    pub fn address(&self) -> usize {
        self.mapping.at.address()
    }
}

impl<K: PoolKernel, P: Page<Paging = K::Paging>> Kmap<'_, K, P> {
    /// The number of the frame that is mapped.
    #[inline]
    pub fn pfn(&self) -> Pfn<K::Paging> {
        self.page.pfn()
    }
}

impl<K: PoolKernel, P: Page<Paging = K::Paging>> fmt::Debug for Kmap<'_, K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kmap({:#x}, {:?})", self.mapping.at.address(), self.pfn())
    }
}

impl<K: PoolKernel, P> Drop for Mapping<'_, K, P> {
    #[inline]
    fn drop(&mut self) {
        self.held_by.end();
        self.at.end();
        if let Some(entry) = Span::<K>::entry_at(self.at.address()) {
            // I10: no access to the page moves down behind the end of its use.
            K::Machine::barrier();
            trace::pool_unmapped::<K>(self.at.address());
            K::pool().leave::<K>(entry);
        }
    }
}

mod sealed {
    pub trait Guard {}
}
