//! The bytes of a mapping: as a Rust reference, as plain data, or as copies.
//!
//! In C, a mapping is an address, and everything can be done to it: casts at any offset, past the end of the page, into the
//! next slot; a second read of a length that user space has changed since it was checked.
//!
//! The rule (I4, I6): bytes are borrowed from the guard, within the page; memory that others may write is copied, once.
//!
//! The types say it: the [`Access`] of the mapped page decides which of these a guard has.

use core::convert::Infallible;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr;
use core::sync::atomic::{self, Ordering};

use zerocopy::{ConvertError, FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::atomic::KmapAtomic;
use crate::batch::{BatchType, BorrowedPage, KmapBatch};
use crate::copy;
use crate::kernel::{Kernel, PoolKernel};
use crate::page::{Access, Copied, Exchanged, Page, PageBytes, Referenced, ReferencedMut, Writable};
use crate::paging::PAGE_SIZE;
use crate::pool::Kmap;
use crate::slot::KmType;
use crate::volatile;

/// What a guard offers of what it maps, as `$bytes`: the same for each kind of mapping. Where it has more pages than one, offsets are into all
/// of them.
macro_rules! bytes_of {
    ([$($generics:tt)*] $guard:ty: $bytes:ty, $pointer:expr, $size:expr, where $($bounds:tt)*) => {
        impl<$($generics)*> $guard
        where
            $($bounds)*
            P: Page<Paging = K::Paging>,
        {
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

            /// Copies bytes out: `buffer.len()` bytes from `offset` on.
            ///
            /// Each byte is read once. What others write meanwhile may be in the copy or not, byte by byte; the copy never changes
            /// afterwards. So check the copy, not the page.
            ///
            /// # Errors
            /// When it would go past the end of the page; then nothing is copied.
            #[inline]
            pub fn read_at(&self, offset: usize, buffer: &mut [u8]) -> Result<(), ViewError> {
                let page = self.span(offset, buffer.len())?;
                // SAFETY: I4, I6: these bytes of the page are mapped until `self` is dropped; whoever may write them, no reference to
                // them is made.
                unsafe {
                    if <P::Access as Access>::RAM {
                        copy::copy(K::copy_by(), buffer.as_mut_ptr(), page, buffer.len());
                    } else {
                        volatile::copy_out(page, buffer);
                    }
                }
                Ok(())
            }

            /// Copies bytes in: `data` to `offset` and what follows. Each byte is written once.
            ///
            /// # Errors
            /// When it would go past the end of the page; then nothing is copied.
            #[inline]
            pub fn write_at(&mut self, offset: usize, data: &[u8]) -> Result<(), ViewError>
            where
                P::Access: Writable,
            {
                let page = self.span(offset, data.len())?;
                // SAFETY: I4, I6: as in `read_at`; and the mapping is writable.
                unsafe {
                    if <P::Access as Access>::RAM {
                        copy::copy(K::copy_by(), page, data.as_ptr(), data.len());
                    } else {
                        volatile::copy_in(page, data);
                    }
                }
                Ok(())
            }

            /// A copy of the `T` at `offset`, which need not be aligned. As [`read_at`](Self::read_at): what is checked is what is used.
            ///
            /// # Errors
            /// As [`read_at`](Self::read_at).
            #[inline]
            pub fn read_obj<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, ViewError> {
                let mut value = T::new_zeroed();
                self.read_at(offset, value.as_mut_bytes())?;
                Ok(value)
            }

            /// Copies `value` to `offset`, which need not be aligned.
            ///
            /// # Errors
            /// As [`write_at`](Self::write_at).
            #[inline]
            pub fn write_obj<T: IntoBytes + Immutable>(&mut self, offset: usize, value: &T) -> Result<(), ViewError>
            where
                P::Access: Writable,
            {
                self.write_at(offset, value.as_bytes())
            }

            /// Reads the value at `offset` with one access: a register, or a word that others may write.
            ///
            /// # Errors
            /// When it would not lie within the page, or its offset is not a multiple of its size; then nothing is read.
            #[inline]
            pub fn load<W: Scalar>(&self, offset: usize) -> Result<W, ViewError>
            where
                P::Access: Copied,
            {
                let at = self.aligned::<W>(offset)?;
                // SAFETY: I4, I6: as in `read_at`, and aligned.
                Ok(unsafe { at.read_volatile() })
            }

            /// Writes the value at `offset` with one access: a register, or a word that others may read.
            ///
            /// # Errors
            /// As [`load`](Self::load); then nothing is written.
            #[inline]
            pub fn store<W: Scalar>(&mut self, offset: usize, value: W) -> Result<(), ViewError>
            where
                P::Access: Copied + Writable,
            {
                let at = self.aligned::<W>(offset)?;
                // SAFETY: I4, I6: as in `write_at`, and aligned.
                unsafe { at.write_volatile(value) };
                Ok(())
            }

            /// Writes `new` at `offset` if `current` is there, in one step that no other CPU divides: a lock, or a futex, that user space
            /// has in its memory. A full barrier. Linux: `futex_atomic_cmpxchg_inatomic()`.
            ///
            /// Gives what was there: `Ok` of it if that was `current`, and now is `new`.
            ///
            /// # Errors
            /// As [`load`](Self::load); then nothing is accessed.
            #[inline]
            pub fn compare_exchange<W: Word>(&mut self, offset: usize, current: W, new: W) -> Result<Result<W, W>, ViewError>
            where
                P::Access: Exchanged,
            {
                let at = self.aligned::<W>(offset)?;
                // SAFETY: I4, I6: mapped writable until `self` is dropped, and aligned; nobody has a reference that is not atomic.
                Ok(unsafe { W::compare_exchange(at, current, new) })
            }

            /// Replaces the value at `offset` by what `update` makes of it, and gives what was there before, in one step that no other CPU
            /// divides. A full barrier. `update` may be asked more than once. Linux: `futex_atomic_op_inuser()`.
            ///
            /// # Errors
            /// As [`load`](Self::load); then nothing is accessed, and `update` is not asked.
            ///
            /// ```
            /// use highmem::{Kernel, KmType, SharedFrame, Slot, ViewError, kmap_atomic};
            ///
            /// /// Sets the bit by which a lock of user space says that somebody waits. Gives the word as it was.
            /// fn note_a_waiter<K: Kernel, S: KmType<Set = K::KmTypes>>(
            ///     slot: Slot<'_, K, S>,
            ///     page: &mut SharedFrame<K::Paging>,
            ///     offset: usize,
            /// ) -> Result<u32, ViewError> {
            ///     kmap_atomic(slot, page).fetch_update(offset, |word: u32| word | 1 << 31)
            /// }
            /// ```
            #[inline]
            pub fn fetch_update<W: Word>(&mut self, offset: usize, mut update: impl FnMut(W) -> W) -> Result<W, ViewError>
            where
                P::Access: Exchanged,
            {
                let mut current = self.load(offset)?;
                loop {
                    match self.compare_exchange(offset, current, update(current))? {
                        Ok(before) => return Ok(before),
                        Err(other) => current = other,
                    }
                }
            }

            /// The pointer to a `W` at `offset`, if it is aligned and lies within the page.
            #[inline]
            fn aligned<W>(&self, offset: usize) -> Result<*mut W, ViewError> {
                let at = self.span(offset, size_of::<W>())?;
                if offset.is_multiple_of(size_of::<W>()) { Ok(at.cast()) } else { Err(ViewError::Misaligned { offset }) }
            }

            /// The pointer to `len` bytes from `offset` on, if they lie within the page.
            #[inline]
            fn span(&self, offset: usize, len: usize) -> Result<*mut u8, ViewError> {
                match offset.checked_add(len) {
                    Some(end) if end <= self.mapped_size() => Ok(self.start().wrapping_add(offset)),
                    _ => Err(ViewError::OutOfBounds { offset }),
                }
            }

            /// The pointer to the first byte, good until `self` is dropped.
            #[inline]
            pub(crate) fn start(&self) -> *mut u8 {
                self.pointer().cast()
            }

            #[inline]
            fn pointer(&self) -> *mut $bytes {
                let pointer: fn(&Self) -> *mut $bytes = $pointer;
                pointer(self)
            }

            #[inline]
            fn mapped_size(&self) -> usize {
                let size: fn(&Self) -> usize = $size;
                size(self)
            }

            #[inline]
            fn bytes(&self) -> &$bytes
            where
                P::Access: Referenced,
            {
                // SAFETY: I4: mapped until `self` is dropped, which the borrow prevents. I6: by its access, nobody writes the page
                // while `self` is borrowed.
                unsafe { &*self.pointer() }
            }

            #[inline]
            fn bytes_mut(&mut self) -> &mut $bytes
            where
                P::Access: ReferencedMut,
            {
                // SAFETY: I4: mapped until `self` is dropped, which the borrow prevents. I6: by its access, the page is this guard's
                // alone, and `self` is borrowed exclusively.
                unsafe { &mut *self.pointer() }
            }
        }

        impl<$($generics)*> Deref for $guard
        where
            $($bounds)*
            P: Page<Paging = K::Paging, Access: Referenced>,
        {
            type Target = $bytes;

            #[inline]
            fn deref(&self) -> &$bytes {
                self.bytes()
            }
        }

        impl<$($generics)*> DerefMut for $guard
        where
            $($bounds)*
            P: Page<Paging = K::Paging, Access: ReferencedMut>,
        {
            #[inline]
            fn deref_mut(&mut self) -> &mut $bytes {
                self.bytes_mut()
            }
        }
    };
}

bytes_of!(
    [K, S, P] KmapAtomic<'_, K, S, P>: PageBytes,
    |guard| ptr::with_exposed_provenance_mut(guard.address()), |_| PAGE_SIZE,
    where K: Kernel, S: KmType<Set = K::KmTypes>,
);
bytes_of!(
    [K, P] Kmap<'_, K, P>: PageBytes,
    |guard| ptr::with_exposed_provenance_mut(guard.address()), |_| PAGE_SIZE,
    where K: PoolKernel,
);
bytes_of!(
    [K, S, P] KmapBatch<'_, K, S, P>: [u8],
    |guard| ptr::slice_from_raw_parts_mut(ptr::with_exposed_provenance_mut(guard.address()), guard.size()), Self::size,
    where K: Kernel, S: BatchType<Set = K::KmTypes>, P: BorrowedPage,
);

/// What one access reads or writes: `u8`, `u16`, `u32`, and `u64` on 64-bit targets. Sealed.
pub trait Scalar: sealed::Sealed + Copy {}

macro_rules! scalars {
    ($($scalar:ty)*) => {$(
        impl sealed::Sealed for $scalar {}
        impl Scalar for $scalar {}
    )*};
}

scalars! { u8 u16 u32 }
#[cfg(target_pointer_width = "64")]
scalars! { u64 }

/// What the processor can exchange in one step that no other CPU divides: `u8`, `u16`, `u32`, and `u64` on 64-bit targets. Sealed.
pub trait Word: Scalar + PartialEq {
    /// # Safety
    /// `at` is mapped writable and aligned, and whoever else accesses it does it by atomic or volatile accesses of this size.
    #[doc(hidden)]
    unsafe fn compare_exchange(at: *mut Self, current: Self, new: Self) -> Result<Self, Self>;
}

macro_rules! words {
    ($($word:ty: $atomic:ident,)*) => {$(
        impl Word for $word {
            #[inline]
            unsafe fn compare_exchange(at: *mut Self, current: Self, new: Self) -> Result<Self, Self> {
                // SAFETY: I6: the caller's promise.
                unsafe { atomic::$atomic::from_ptr(at) }.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst)
            }
        }
    )*};
}

words! { u8: AtomicU8, u16: AtomicU16, u32: AtomicU32, }
#[cfg(target_pointer_width = "64")]
words! { u64: AtomicU64, }

mod sealed {
    pub trait Sealed {}
}

/// An access that a mapped page does not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ViewError {
    /// It would go past the end of what is mapped.
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
            Self::OutOfBounds { offset } => {
                write!(f, "the access at offset {offset} goes past the end of what is mapped")
            }
            Self::Misaligned { offset } => write!(f, "offset {offset} is not aligned for the type"),
        }
    }
}

impl core::error::Error for ViewError {}
