//! The bytes of a mapping: as a Rust reference, as plain data, or as copies.
//!
//! In C, a mapping is an address, and everything can be done to it: casts at any offset, past the end of the page, into the
//! next slot; a second read of a length that user space has changed since it was checked.
//!
//! The rule (I4, I6): bytes are borrowed from the guard, within the page; memory that others may write is copied, once.
//!
//! The types say it: the [`Access`](crate::page::Access) of the mapped page decides which of these a guard has.

use core::convert::Infallible;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr;

use zerocopy::{ConvertError, FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::atomic::KmapAtomic;
use crate::kernel::{Kernel, PoolKernel};
use crate::page::{Copied, CopiedMut, Page, PageBytes, Referenced, ReferencedMut};
use crate::paging::PAGE_SIZE;
use crate::pool::Kmap;
use crate::slot::KmType;
use crate::volatile;

/// What a guard offers of the page that it maps: the same for each kind of mapping.
macro_rules! bytes_of {
    ([$($generics:tt)*] $guard:ty, where $($bounds:tt)*) => {
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
                unsafe { volatile::copy_out(page, buffer) };
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
                // SAFETY: I4, I6: as in `read_at`; and the mapping is writable.
                unsafe { volatile::copy_in(page, data) };
                Ok(())
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
                P::Access: CopiedMut,
            {
                let at = self.aligned::<W>(offset)?;
                // SAFETY: I4, I6: as in `write_at`, and aligned.
                unsafe { at.write_volatile(value) };
                Ok(())
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
                    Some(end) if end <= PAGE_SIZE => Ok(self.pointer().cast::<u8>().wrapping_add(offset)),
                    _ => Err(ViewError::OutOfBounds { offset }),
                }
            }

            #[inline]
            fn pointer(&self) -> *mut PageBytes {
                ptr::with_exposed_provenance_mut(self.address())
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

        impl<$($generics)*> Deref for $guard
        where
            $($bounds)*
            P: Page<Paging = K::Paging, Access: Referenced>,
        {
            type Target = PageBytes;

            #[inline]
            fn deref(&self) -> &PageBytes {
                self.bytes()
            }
        }

        impl<$($generics)*> DerefMut for $guard
        where
            $($bounds)*
            P: Page<Paging = K::Paging, Access: ReferencedMut>,
        {
            #[inline]
            fn deref_mut(&mut self) -> &mut PageBytes {
                self.bytes_mut()
            }
        }
    };
}

bytes_of!([K, S, P] KmapAtomic<'_, K, S, P>, where K: Kernel, S: KmType<Set = K::KmTypes>,);
bytes_of!([K, P] Kmap<'_, K, P>, where K: PoolKernel,);

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

mod sealed {
    pub trait Sealed {}
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
