//! `kmap_atomic`: a page is mapped in a slot of this CPU for as long as a guard lives.
//!
//! In C, `kmap_atomic(page, KM_USER0)` returns an address and `kunmap_atomic(address, KM_USER0)` takes it back. Both arguments
//! are what the programmer believes: pages were passed to unmap for years (LWN, November 2004), wrong slots, addresses that
//! had been advanced; mappings were used after their end, or never ended.
//!
//! The rule (I3, I4): a mapping ends once, by the value that began it; its slot is empty before anybody can use it again; and
//! its bytes are borrowed from it.
//!
//! The types say it: [`kmap_atomic`] takes the token of a slot and a page, and gives a guard, [`KmapAtomic`]. Dropping the
//! guard unmaps, and ends the borrow of the token; [`kunmap_atomic`] unmaps and gives token and page back.

use core::fmt;
use core::hint;
use core::marker::PhantomData;

use crate::cache::{self, At};
use crate::debug;
use crate::fixmap::{SlotAddress, Window, WindowBase};
use crate::kernel::Kernel;
use crate::lazy;
use crate::local;
use crate::machine::Machine;
use crate::page::{Access, Page, Pfn};
use crate::paging::{Paging, Protection};
use crate::slot::{Group, KmType, Slot};
use crate::tlb::{self, Behind, Known, PageAddress};
use crate::trace::{self, Whole};

/// Maps `page` in `slot` on this CPU. Linux: `kmap_atomic()`.
///
/// A page of the direct map is not mapped a second time: the guard refers to it there, unless [`Kernel::FORCE_MAP`]. Everything
/// else is the same. A frame of a device is always mapped, with its memory type; if [`Kernel::PAT`] does not have that, it does not
/// compile.
///
/// ```
/// use highmem::{Frame, Kernel, Page, Slot, kmap_atomic, linux::{Set, User0, User1}};
///
/// fn copy_highpage<K: Kernel<KmTypes = Set>>(
///     (source, source_slot): (&Frame<K::Paging>, Slot<'_, K, User0>),
///     (target, target_slot): (&mut Frame<K::Paging>, Slot<'_, K, User1>),
/// ) {
///     let from = kmap_atomic(source_slot, source);
///     let mut to = kmap_atomic(target_slot, target);
///     to.copy_from_slice(&*from);
/// }
/// ```
#[inline]
#[track_caller]
pub fn kmap_atomic<K, S, P>(slot: Slot<'_, K, S>, page: P) -> KmapAtomic<'_, K, S, P>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging>,
{
    const { lazy::check::<K, S, P>() };
    let pfn = page.pfn();
    let direct = if <P::Access as Access>::RAM && !K::FORCE_MAP { K::direct_map(pfn) } else { None };
    let address = match direct {
        Some(bytes) => {
            let address = bytes.as_ptr().expose_provenance();
            // SAFETY: I3: a page outside of the window has no entry to clear, and `Kernel::direct_map` promises that this one
            // is outside. Knowing it, the compiler drops the unmapping of lowmem pages.
            unsafe { hint::assert_unchecked(!Window::<K>::is_slot::<S>(address)) };
            address
        }
        None => {
            let (writable, cache) = (<P::Access as Access>::WRITABLE, const { K::PAT.index_of(P::MEMORY_TYPE) });
            let global = K::TRANSLATIONS.are_global();
            let _whole = Whole::<K, S>::begin();
            let address = map::<K, S>(pfn, Protection::new(writable).cache(cache).global(global));
            trace::mapped::<K, S, P>(pfn, address);
            address
        }
    };
    let at = At::begin(&page, address);
    KmapAtomic { mapping: Mapping { at, until_unmapped: PhantomData }, slot, page }
}

/// Unmaps, and gives back the slot and the page. Linux: `kunmap_atomic()`.
///
/// Takes nothing but the guard that [`kmap_atomic`] returned:
///
/// ```compile_fail
/// # use highmem::{Frame, Kernel, Slot, kmap_atomic, kunmap_atomic, linux::{Set, User0}};
/// fn clear<K: Kernel<KmTypes = Set>>(slot: Slot<'_, K, User0>, page: &mut Frame<K::Paging>) {
///     kmap_atomic(slot, &mut *page).fill(0);
///     kunmap_atomic(page); // the bug of 2004
/// }
/// ```
#[inline]
pub fn kunmap_atomic<G, S, P>(guard: G) -> (S, P)
where
    G: AtomicGuard<Slot = S, Page = P>,
{
    guard.unmap()
}

/// A mapping that [`kmap_atomic`] made, and [`kunmap_atomic`] ends. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a mapping, so it cannot be unmapped",
    label = "expected the guard that `kmap_atomic` returned",
    note = "keep the guard: `let guard = kmap_atomic(slot, page);`, and pass it here, or let it go out of scope",
    note = "the guard gives back both: `let (slot, page) = kunmap_atomic(guard);`",
    note = "what `kmap` has mapped is unmapped by `kunmap`"
)]
pub trait AtomicGuard: sealed::Sealed {
    /// The token that comes back.
    type Slot;
    /// The page that comes back.
    type Page;

    #[doc(hidden)]
    fn unmap(self) -> (Self::Slot, Self::Page);
}

/// A page mapped in slot `S`; dropping it unmaps.
///
/// It is a `[u8; 4096]` where the page's [`Access`] allows that, and offers copies where it does not. It belongs to the CPU and
/// the context that made it: it is neither `Send` nor `Sync`. It takes the room of an address and a page.
#[must_use = "the page is unmapped as soon as the guard is dropped"]
#[clippy::has_significant_drop]
pub struct KmapAtomic<'cx, K, S, P>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    // Dropped in this order: the page may be freed only when it is unmapped (I5).
    mapping: Mapping<'cx, K, S, P>,
    slot: Slot<'cx, K, S>,
    page: P,
}

/// An address, and the duty to end its mapping if it is one of the window.
///
/// It has no use for slot and page, but they belong to it: that its `Drop` could use them is what keeps the context and the
/// page borrowed until then (I1, I5). Without that, both borrows would end at the last use of the guard.
struct Mapping<'cx, K, S, P>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    at: At<K>,
    until_unmapped: PhantomData<(Slot<'cx, K, S>, P)>,
}

/// Fills the empty entry of slot `S`. A lazy one may have this very entry: then it stays.
#[inline]
#[track_caller]
fn map<K, S>(pfn: Pfn<K::Paging>, protection: Protection) -> usize
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    let (address, pte) = Window::<K>::slot::<S>();
    if debug::ON {
        debug::check_context::<K>(S::NAME, S::GROUP);
    }
    // SAFETY: I1: the caller had the slot's token, so nobody else writes its entry. It is empty when it is set: `unmap` has
    // emptied it, or it is emptied here (I3).
    unsafe {
        if lazy::is_lazy::<S>() && lazy::keeps::<K, S>(pte, pfn, protection) {
            K::Machine::barrier();
            return address;
        }
        if !K::Paging::is_empty::<K::Machine>(pte) {
            if debug::ON {
                debug::report_forgotten::<K, S>();
            }
            if lazy::is_lazy::<S>() {
                // As a rule it is the page before.
                lazy::forget::<K>(S::PLACE, pte);
            } else {
                trace::unmapped::<K, S>(address);
            }
            unmap_forgotten::<K>(address, S::GROUP);
        }
        if debug::ON {
            debug::remember_origin::<K>(pte);
        }
        K::Paging::set::<K::Machine>(pte, K::Paging::entry(pfn.number(), protection.no_execute(K::no_execute())));
        if lazy::is_lazy::<S>() {
            lazy::note::<K, S>(pte, pfn, protection);
        }
    }
    // I10: no access to the page moves up across the store that makes it accessible.
    K::Machine::barrier();
    address
}

/// Empties the entry of a slot and forgets its translation, in this order: an interrupt may come in between, and the slot is
/// free only afterwards (I3).
#[inline]
pub(crate) fn unmap<K: Kernel>(at: impl PageAddress, group: Group) {
    if matches!(group, Group::MigrationOff) {
        return local::unmap::<K>(at);
    }
    // I10: no access to the page moves down across the store that makes it inaccessible.
    K::Machine::barrier();
    // SAFETY: I1: the caller had the slot's token. I4: no address of the mapping is left in use.
    unsafe {
        K::Paging::clear::<K::Machine>(Window::<K>::entry_of(at.address()));
        tlb::forget::<K>(at);
    }
}

/// The slot's last guard was forgotten (`mem::forget`), so its mapping is still there. Nobody can use it any more: the
/// bytes were borrowed from the guard.
#[cold]
#[inline(never)]
pub(crate) fn unmap_forgotten<K: Kernel>(address: usize, group: Group) {
    // SAFETY: I1: as in `unmap`.
    unsafe { cache::end_of_entry::<K>(address, Window::<K>::entry_of(address)) };
    unmap::<K>(address, group);
}

impl<K, S, P> Drop for Mapping<'_, K, S, P>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    #[inline]
    fn drop(&mut self) {
        self.at.end();
        let _whole = Whole::<K, S>::begin();
        trace::unmapped::<K, S>(self.at.address());
        if lazy::is_lazy::<S>() {
            // I10: no access to the page moves down to where it is another's.
            K::Machine::barrier();
            return;
        }
        let address = self.at.address();
        if Window::<K>::is_slot::<S>(address) {
            if debug::ON {
                debug::check_same_cpu::<K>(S::NAME, address, |cpu| Window::<K>::place(cpu, S::PLACE).0);
            }
            if Window::<K>::ONE_PLACE {
                unmap::<K>(Known::<SlotAddress<K, S>>::NEW, S::GROUP);
            } else {
                unmap::<K>(Behind::<WindowBase<K>>::new(address), S::GROUP);
            }
        }
    }
}

#[diagnostic::do_not_recommend]
impl<'cx, K, S, P> AtomicGuard for KmapAtomic<'cx, K, S, P>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    type Slot = Slot<'cx, K, S>;
    type Page = P;

    #[inline]
    fn unmap(self) -> (Slot<'cx, K, S>, P) {
        let Self { mapping, slot, page } = self;
        drop(mapping);
        (slot, page)
    }
}

impl<K, S, P> sealed::Sealed for KmapAtomic<'_, K, S, P>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
}

impl<K, S, P> KmapAtomic<'_, K, S, P>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging>,
{
    /// The page that is mapped.
    #[inline]
    pub fn page(&self) -> &P {
        &self.page
    }

    /// The number of the frame that is mapped.
    #[inline]
    pub fn pfn(&self) -> Pfn<K::Paging> {
        self.page.pfn()
    }

    /// Has the guard go on with the same address, which the caller has in another register: then nobody needs the one that it was in.
    ///
    /// # Safety
    /// It is the same (I3).
    #[inline]
    pub(crate) unsafe fn known_as(&mut self, address: *const u8) {
        self.mapping.at.known_as(address.addr());
    }

    /// The address at which the page is mapped, for reports and tests. Nothing in this crate takes it back.
    #[inline]
    pub fn address(&self) -> usize {
        self.mapping.at.address()
    }
}

impl<K, S, P> fmt::Debug for KmapAtomic<'_, K, S, P>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KmapAtomic({} at {:#x}, {:?})", S::NAME, self.mapping.at.address(), self.pfn())
    }
}

mod sealed {
    pub trait Sealed {}
}

#[cfg(test)]
mod tests;
