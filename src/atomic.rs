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

use core::convert::Infallible;
use core::fmt;
use core::hint;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr;
use core::sync::atomic::{Ordering, compiler_fence};

use zerocopy::{ConvertError, FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::fixmap::Window;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::{Access, Copied, CopiedMut, Page, PageBytes, Pfn, Referenced, ReferencedMut};
use crate::paging::{PAGE_SIZE, Paging, Protection};
use crate::slot::{KmType, Slot};

/// Maps `page` in `slot` on this CPU. Linux: `kmap_atomic()`.
///
/// A page of the direct map is not mapped a second time: the guard refers to it there, unless [`Kernel::FORCE_MAP`]. Everything
/// else is the same.
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
    let pfn = page.pfn();
    let address = match K::direct_map(pfn) {
        Some(bytes) if !K::FORCE_MAP => {
            let address = bytes.as_ptr().expose_provenance();
            // SAFETY: a promise of `Kernel::direct_map`. With it, the compiler drops the unmapping of lowmem pages.
            unsafe { hint::assert_unchecked(!Window::<K>::contains(address)) };
            address
        }
        _ => map::<K, S>(pfn, <P::Access as Access>::WRITABLE),
    };
    KmapAtomic { mapping: Mapping { address, slot_type: PhantomData }, slot, page }
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
pub fn kunmap_atomic<G: AtomicGuard>(guard: G) -> (G::Slot, G::Page) {
    guard.unmap()
}

/// A mapping that [`kmap_atomic`] made, and [`kunmap_atomic`] ends. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a mapping, so it cannot be unmapped",
    label = "expected the guard that `kmap_atomic` returned",
    note = "keep the guard: `let guard = kmap_atomic(slot, page);`, and pass it here, or let it go out of scope",
    note = "the guard gives back both: `let (slot, page) = kunmap_atomic(guard);`"
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
    mapping: Mapping<K, S>,
    slot: Slot<'cx, K, S>,
    page: P,
}

/// An address, and the duty to end its mapping if it is one of the window.
struct Mapping<K, S>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    address: usize,
    slot_type: PhantomData<fn() -> (K, S)>,
}

/// Fills the empty entry of slot `S`.
#[inline]
#[track_caller]
fn map<K, S>(pfn: Pfn<K::Paging>, writable: bool) -> usize
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    let (address, pte) = Window::<K>::slot::<S>();
    let entry = K::Paging::entry(pfn.number(), Protection { writable, no_execute: K::no_execute() });
    // SAFETY: I1: the caller had the slot's token, so nobody else writes its entry. It is empty when it is set: `unmap` has
    // emptied it, or it is emptied here (I3).
    unsafe {
        if !K::Paging::is_empty::<K::Machine>(pte) {
            unmap_forgotten::<K>(address);
        }
        K::Paging::set::<K::Machine>(pte, entry);
    }
    // I10: no access to the page moves up across the store that makes it accessible.
    compiler_fence(Ordering::SeqCst);
    address
}

/// Empties the entry of a slot and forgets its translation, in this order: an interrupt may come in between, and the slot is
/// free only afterwards (I3).
#[inline]
fn unmap<K: Kernel>(address: usize) {
    // I10: no access to the page moves down across the store that makes it inaccessible.
    compiler_fence(Ordering::SeqCst);
    // SAFETY: I1: the caller had the slot's token. I4: no address of the mapping is left in use.
    unsafe {
        K::Paging::clear::<K::Machine>(Window::<K>::entry_of(address));
        K::Machine::invlpg(address);
    }
}

/// The slot's last guard was forgotten (`mem::forget`), so its mapping is still there. Nobody can use it any more: the
/// bytes were borrowed from the guard.
#[cold]
#[inline(never)]
fn unmap_forgotten<K: Kernel>(address: usize) {
    unmap::<K>(address);
}

impl<K, S> Drop for Mapping<K, S>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    #[inline]
    fn drop(&mut self) {
        if Window::<K>::contains(self.address) {
            debug_assert!(
                self.address == Window::<K>::slot::<S>().0,
                "slot {}: mapped at {:#x} on another CPU than CPU {}, which unmaps it",
                S::NAME,
                self.address,
                K::cpu(),
            );
            unmap::<K>(self.address);
        }
    }
}

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

    /// The address at which the page is mapped, for reports and tests. Nothing in this crate takes it back.
    #[inline]
    pub fn address(&self) -> usize {
        self.mapping.address
    }

    /// The `T` at `offset` bytes into the page.
    ///
    /// # Errors
    /// When it would not lie within the page, or not be aligned for a `T`.
    ///
    /// ```
    /// use highmem::{Frame, Kernel, KmType, Slot, ViewError, kmap_atomic};
    ///
    /// /// The first free block number in a superblock.
    /// fn first_free<K: Kernel, S: KmType<Set = K::KmTypes>>(
    ///     slot: Slot<'_, K, S>,
    ///     superblock: &Frame<K::Paging>,
    /// ) -> Result<u32, ViewError> {
    ///     Ok(*kmap_atomic(slot, superblock).view::<u32>(64)?)
    /// }
    /// ```
    #[inline]
    pub fn view<T>(&self, offset: usize) -> Result<&T, ViewError>
    where
        T: FromBytes + KnownLayout + Immutable,
        P::Access: Referenced,
    {
        let tail = self.bytes().get(offset..).ok_or(ViewError::OutOfBounds { offset })?;
        T::ref_from_prefix(tail).map(|(value, _)| value).map_err(|error| ViewError::new(offset, error))
    }

    /// The `T` at `offset` bytes into the page, to be written.
    ///
    /// # Errors
    /// As [`view`](Self::view).
    #[inline]
    pub fn view_mut<T>(&mut self, offset: usize) -> Result<&mut T, ViewError>
    where
        T: FromBytes + IntoBytes + KnownLayout,
        P::Access: ReferencedMut,
    {
        let tail = self.bytes_mut().get_mut(offset..).ok_or(ViewError::OutOfBounds { offset })?;
        T::mut_from_prefix(tail).map(|(value, _)| value).map_err(|error| ViewError::new(offset, error))
    }

    /// The `count` values of type `T` from `offset` bytes into the page.
    ///
    /// # Errors
    /// As [`view`](Self::view).
    #[inline]
    pub fn view_slice<T>(&self, offset: usize, count: usize) -> Result<&[T], ViewError>
    where
        T: FromBytes + Immutable,
        P::Access: Referenced,
    {
        let tail = self.bytes().get(offset..).ok_or(ViewError::OutOfBounds { offset })?;
        <[T]>::ref_from_prefix_with_elems(tail, count)
            .map(|(values, _)| values)
            .map_err(|error| ViewError::new(offset, error))
    }

    /// The `count` values of type `T` from `offset` bytes into the page, to be written.
    ///
    /// # Errors
    /// As [`view`](Self::view).
    #[inline]
    pub fn view_slice_mut<T>(&mut self, offset: usize, count: usize) -> Result<&mut [T], ViewError>
    where
        T: FromBytes + IntoBytes,
        P::Access: ReferencedMut,
    {
        let tail = self.bytes_mut().get_mut(offset..).ok_or(ViewError::OutOfBounds { offset })?;
        <[T]>::mut_from_prefix_with_elems(tail, count)
            .map(|(values, _)| values)
            .map_err(|error| ViewError::new(offset, error))
    }

    /// Copies bytes out of memory that others may write: `buffer.len()` bytes from `offset` on.
    ///
    /// The copy is a sequence of volatile reads. What others write meanwhile may be in it or not, byte by byte; it never
    /// changes afterwards. So check the copy, not the page.
    ///
    /// # Errors
    /// When it would go past the end of the page; then nothing is copied.
    #[inline]
    pub fn read_at(&self, offset: usize, buffer: &mut [u8]) -> Result<(), ViewError>
    where
        P::Access: Copied,
    {
        let page = self.span(offset, buffer.len())?;
        // SAFETY: I4, I6: these bytes of the page are mapped until `self` is dropped; others may write them, and no
        // reference to them is made.
        unsafe { crate::volatile::copy_out(page, buffer) };
        Ok(())
    }

    /// Copies bytes into memory that others may write or read: `data` to `offset` and what follows.
    ///
    /// # Errors
    /// When it would go past the end of the page; then nothing is copied.
    #[inline]
    pub fn write_at(&mut self, offset: usize, data: &[u8]) -> Result<(), ViewError>
    where
        P::Access: CopiedMut,
    {
        let page = self.span(offset, data.len())?;
        // SAFETY: as in `read_at`; the mapping is writable.
        unsafe { crate::volatile::copy_in(page, data) };
        Ok(())
    }

    /// The pointer to `len` bytes from `offset` on, if they lie within the page.
    #[inline]
    fn span(&self, offset: usize, len: usize) -> Result<*mut u8, ViewError> {
        match offset.checked_add(len) {
            Some(end) if end <= PAGE_SIZE => Ok(self.pointer().cast::<u8>().wrapping_add(offset)),
            _ => Err(ViewError::OutOfBounds { offset }),
        }
    }

    #[inline]
    fn pointer(&self) -> *mut PageBytes {
        ptr::with_exposed_provenance_mut(self.mapping.address)
    }

    #[inline]
    fn bytes(&self) -> &PageBytes
    where
        P::Access: Referenced,
    {
        // SAFETY: I4: mapped until `self` is dropped, which the borrow prevents. I6: by its access, nobody writes the page
        // while `self` is borrowed.
        unsafe { &*self.pointer() }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut PageBytes
    where
        P::Access: ReferencedMut,
    {
        // SAFETY: I4: mapped until `self` is dropped, which the borrow prevents. I6: by its access, the page is this guard's
        // alone, and `self` is borrowed exclusively.
        unsafe { &mut *self.pointer() }
    }
}

impl<K, S, P> Deref for KmapAtomic<'_, K, S, P>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Referenced>,
{
    type Target = PageBytes;

    #[inline]
    fn deref(&self) -> &PageBytes {
        self.bytes()
    }
}

impl<K, S, P> DerefMut for KmapAtomic<'_, K, S, P>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: ReferencedMut>,
{
    #[inline]
    fn deref_mut(&mut self) -> &mut PageBytes {
        self.bytes_mut()
    }
}

impl<K, S, P> fmt::Debug for KmapAtomic<'_, K, S, P>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KmapAtomic({} at {:#x}, {:?})", S::NAME, self.mapping.address, self.pfn())
    }
}

/// An access that a mapped page does not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ViewError {
    /// It would go past the end of the page.
    OutOfBounds {
        /// Where it would have begun, in bytes from the start of the page.
        offset: usize,
    },
    /// Its offset is not a multiple of the type's alignment.
    Misaligned {
        /// Where it would have begun, in bytes from the start of the page.
        offset: usize,
    },
}

impl ViewError {
    fn new<A, S>(offset: usize, error: ConvertError<A, S, Infallible>) -> Self {
        match error {
            ConvertError::Alignment(_) => Self::Misaligned { offset },
            ConvertError::Size(_) => Self::OutOfBounds { offset },
        }
    }
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds { offset } => write!(f, "the access at offset {offset} goes past the end of the page"),
            Self::Misaligned { offset } => write!(f, "offset {offset} is not aligned for the type"),
        }
    }
}

impl core::error::Error for ViewError {}

mod sealed {
    pub trait Sealed {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::{Irq0, User0, User1};
    use crate::machine::recorder::{Event, Event::*, Recorder};
    use crate::paging::Pae;
    use crate::test_kernel::{CPU, FIXMAP_BASE, NO_EXECUTE, SLOTS, TestKernel, entry, entry_address};
    use crate::{Frame, SharedFrame, Task};
    use core::mem;
    use std::string::ToString;
    use typenum::Unsigned;

    type Plain = TestKernel<false>;
    type Forced = TestKernel<true>;

    const USER0: usize = <User0 as KmType>::Index::USIZE;
    const USER1: usize = <User1 as KmType>::Index::USIZE;
    const HIGH: u64 = 0x14_0000;

    fn frame(number: u64) -> Frame<Pae> {
        // SAFETY: the test kernel's frames beyond lowmem exist only as numbers; each test uses each frame once.
        unsafe { Frame::from_pfn(Pfn::new(number).unwrap()) }
    }

    fn with_user0<K: Kernel<KmTypes = crate::linux::Set>, R>(f: impl FnOnce(Slot<'_, K, User0>) -> R) -> R {
        // SAFETY: each test is a thread, and enters once at a time.
        unsafe { Task::<K>::enter(|task| f(task.atomic().slots().user0)) }
    }

    fn address(index: usize) -> usize {
        FIXMAP_BASE + index * PAGE_SIZE
    }

    fn set(index: usize, entry: u64) -> [Event; 2] {
        [Write(entry_address(index) + 4, (entry >> 32) as u32), Write(entry_address(index), entry as u32)]
    }

    fn clear(index: usize) -> [Event; 3] {
        [Write(entry_address(index), 0), Write(entry_address(index) + 4, 0), Invlpg(address(index))]
    }

    const RW_NX: u64 = 0x8000_0000_0000_0063;
    const RO_NX: u64 = 0x8000_0000_0000_0021;

    #[test]
    fn a_pair_is_one_entry_written_one_cleared_one_invlpg() {
        let mut page = frame(HIGH);
        let events = Recorder::record(|| with_user0::<Plain, _>(|slot| drop(kmap_atomic(slot, &mut page))));
        assert_eq!(events, [&set(USER0, HIGH << 12 | RW_NX)[..], &clear(USER0)].concat());
    }

    #[test]
    fn a_shared_borrow_maps_read_only() {
        let page = frame(HIGH);
        with_user0::<Plain, _>(|slot| {
            let guard = kmap_atomic(slot, &page);
            assert_eq!(entry(USER0), HIGH << 12 | RO_NX);
            assert_eq!(guard.address(), address(USER0));
        });
        assert_eq!(entry(USER0), 0);
    }

    #[test]
    fn execution_is_forbidden_only_where_the_processor_can() {
        NO_EXECUTE.set(false);
        let page = frame(HIGH);
        with_user0::<Plain, _>(|slot| {
            let _guard = kmap_atomic(slot, &page);
            assert_eq!(entry(USER0), HIGH << 12 | 0x21);
        });
    }

    #[test]
    fn unmap_gives_token_and_page_back() {
        with_user0::<Plain, _>(|slot| {
            let guard = kmap_atomic(slot, frame(HIGH));
            let (slot, page) = kunmap_atomic(guard);
            assert_eq!(entry(USER0), 0);
            assert_eq!(page.into_pfn().number() as u64, HIGH);
            let _again = kmap_atomic(slot, frame(HIGH + 1));
            assert_eq!(entry(USER0), (HIGH + 1) << 12 | RW_NX);
        });
    }

    #[test]
    fn a_lent_token_can_be_used_again() {
        with_user0::<Plain, _>(|mut slot| {
            for number in HIGH..HIGH + 3 {
                let _guard = kmap_atomic(slot.reborrow(), frame(number));
                assert_eq!(entry(USER0), number << 12 | RW_NX);
            }
        });
    }

    #[test]
    fn a_forgotten_guard_is_cleared_and_flushed_before_the_slot_is_filled_again() {
        let events = Recorder::record(|| {
            with_user0::<Plain, _>(|mut slot| {
                mem::forget(kmap_atomic(slot.reborrow(), frame(HIGH)));
                let _guard = kmap_atomic(slot, frame(HIGH + 1));
            });
        });
        let expected =
            [&set(USER0, HIGH << 12 | RW_NX)[..], &clear(USER0), &set(USER0, (HIGH + 1) << 12 | RW_NX), &clear(USER0)];
        assert_eq!(events, expected.concat());
    }

    #[test]
    fn each_slot_of_each_cpu_has_its_own_address_and_entry() {
        for cpu in 0..2 {
            CPU.set(cpu);
            // SAFETY: as in `with_user0`.
            unsafe {
                Task::<Plain>::enter(|task| {
                    let mut atomic = task.atomic();
                    let mut slots = atomic.slots();
                    let one = kmap_atomic(slots.user1, frame(HIGH));
                    let mut irqs_off = slots.deeper.irqs_off();
                    let two = kmap_atomic(irqs_off.slots().irq0, frame(HIGH + 1));
                    assert_eq!(one.address(), address(cpu * SLOTS + USER1));
                    assert_eq!(two.address(), address(cpu * SLOTS + <Irq0 as KmType>::Index::USIZE));
                    assert_eq!(entry(cpu * SLOTS + USER1), HIGH << 12 | RW_NX);
                });
            }
            assert_eq!(entry(cpu * SLOTS + USER1), 0);
        }
    }

    #[test]
    fn lowmem_uses_the_direct_map_and_no_entry() {
        let mut page = frame(1);
        let events = Recorder::record(|| {
            with_user0::<Plain, _>(|mut slot| {
                kmap_atomic(slot.reborrow(), &mut page).fill(0x5a);
                assert!(kmap_atomic(slot, &page).iter().all(|&byte| byte == 0x5a));
            });
        });
        assert_eq!(events, []);
        let bytes = Plain::direct_map(page.pfn()).unwrap();
        // SAFETY: the frame's guards are gone.
        assert_eq!(unsafe { bytes.as_ref() }[4095], 0x5a);
    }

    #[test]
    fn lowmem_can_be_forced_through_a_slot() {
        with_user0::<Forced, _>(|slot| {
            let _guard = kmap_atomic(slot, frame(1));
            assert_eq!(entry(USER0), 1 << 12 | RW_NX);
        });
        assert_eq!(entry(USER0), 0);
    }

    #[test]
    fn views_are_checked() {
        #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, PartialEq, Debug)]
        #[repr(C)]
        struct Header {
            magic: u32,
            len: u16,
            flags: u16,
        }

        with_user0::<Plain, _>(|slot| {
            let mut guard = kmap_atomic(slot, frame(2));
            *guard.view_mut(4088).unwrap() = Header { magic: 0x4853_4148, len: 7, flags: 1 };
            assert_eq!(guard.view::<Header>(4088).unwrap().len, 7);
            assert_eq!(guard[4088..4092], *b"HASH");
            assert_eq!(guard.view::<Header>(4089), Err(ViewError::Misaligned { offset: 4089 }));
            assert_eq!(guard.view::<Header>(4092), Err(ViewError::OutOfBounds { offset: 4092 }));
            assert_eq!(guard.view::<Header>(usize::MAX), Err(ViewError::OutOfBounds { offset: usize::MAX }));

            guard.view_slice_mut::<u16>(4094, 1).unwrap()[0] = 9;
            assert_eq!(guard.view_slice::<u16>(0, 2048).unwrap()[2047], 9);
            assert_eq!(guard.view_slice::<u16>(0, 2049), Err(ViewError::OutOfBounds { offset: 0 }));
            assert_eq!(guard.view_slice::<u16>(1, 1), Err(ViewError::Misaligned { offset: 1 }));
            assert_eq!(guard.view_slice::<u16>(4096, 0), Ok(&[][..]));
            assert_eq!(guard.view_slice::<u64>(0, usize::MAX), Err(ViewError::OutOfBounds { offset: 0 }));
            let error = guard.view_slice::<u8>(4097, 0).unwrap_err();
            assert_eq!(error.to_string(), "the access at offset 4097 goes past the end of the page");
        });
    }

    #[test]
    fn memory_that_others_write_is_copied_within_bounds() {
        // SAFETY: nobody has a reference into lowmem of this thread.
        let mut page = unsafe { SharedFrame::<Pae>::from_pfn(Pfn::new(3).unwrap()) };
        with_user0::<Plain, _>(|slot| {
            let mut guard = kmap_atomic(slot, &mut page);
            let mut buffer = [0; 5];
            guard.write_at(4091, b"bytes").unwrap();
            guard.read_at(4091, &mut buffer).unwrap();
            assert_eq!(&buffer, b"bytes");
            assert_eq!(guard.write_at(4092, b"bytes"), Err(ViewError::OutOfBounds { offset: 4092 }));
            assert_eq!(guard.read_at(usize::MAX, &mut buffer), Err(ViewError::OutOfBounds { offset: usize::MAX }));
            guard.read_at(4091, &mut buffer).unwrap();
            assert_eq!(&buffer, b"bytes", "a refused write writes nothing");
            assert_eq!(guard.write_at(4096, b""), Ok(()));
        });
    }

    #[test]
    fn sizes() {
        assert_eq!(size_of::<Slot<'_, Plain, User0>>(), 0);
        assert_eq!(size_of::<KmapAtomic<'_, Plain, User0, Frame<Pae>>>(), size_of::<(usize, Frame<Pae>)>());
        assert_eq!(size_of::<KmapAtomic<'_, Plain, User0, &mut Frame<Pae>>>(), 2 * size_of::<usize>());
        assert_eq!(size_of::<KmapAtomic<'_, Plain, User0, ()>>(), size_of::<usize>());
    }

    #[test]
    fn a_guard_says_what_it_maps() {
        with_user0::<Plain, _>(|slot| {
            let guard = kmap_atomic(slot, frame(HIGH));
            assert_eq!(std::format!("{guard:?}"), "KmapAtomic(User0 at 0xffc00000, pfn 0x140000)");
        });
    }

    #[test]
    #[should_panic(expected = "slot User0: `Kernel::cpu` says 2, of 2 CPUs")]
    #[cfg(debug_assertions)]
    fn a_cpu_number_out_of_range_is_reported() {
        CPU.set(2);
        with_user0::<Plain, _>(|slot| drop(kmap_atomic(slot, frame(HIGH))));
    }

    #[test]
    #[should_panic(expected = "slot User0: mapped at 0xffc00000 on another CPU than CPU 1, which unmaps it")]
    #[cfg(debug_assertions)]
    fn a_guard_that_changed_its_cpu_is_reported() {
        with_user0::<Plain, _>(|slot| {
            let guard = kmap_atomic(slot, frame(HIGH));
            CPU.set(1);
            drop(guard);
        });
    }
}
