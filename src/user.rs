//! User memory: it may not be there, it may change at any time, and an access to it may sleep.
//!
//! In C, a user address is a pointer like any other. It was used without a look whether it is one, and so user space wrote to the kernel
//! (CVE-2010-3904); a copy that faults slept under an atomic mapping, or waited for a page that its own thread had locked; what had been
//! checked was read a second time, and was not the same any more.
//!
//! The rule (I6, I7): whoever copies user memory may sleep, or else takes what is there at once. The address is checked before it is
//! used, and nothing is read twice.
//!
//! The types say it: a [`UserSlice`] can be made only of addresses of user space, never becomes a Rust reference, and is consumed: a
//! [`UserReader`] goes on behind what it has copied. [`copy_from_user`] takes a [`MaySleep`], so it can be called under a mapping of the
//! [pool](crate::pool), and not under an atomic one; [`copy_from_user_inatomic`] can, and never sleeps.
//!
//! A kernel joins by [`UserKernel`]. What goes to user space is bytes, or data without padding: whatever lay in padding before would go,
//! too.
//!
//! ```
//! use highmem::user::{Error, UserSlice, copy_from_user, put_user};
//! use highmem::{Task, UserKernel};
//!
//! /// A system call: the sum of up to 64 bytes, to where the user wants it.
//! fn sum<K: UserKernel>(task: &mut Task<'_, K>, from: usize, len: usize, to: usize) -> Result<(), Error> {
//!     let mut from = UserSlice::<K>::new(from, len)?.reader();
//!     let mut to = UserSlice::<K>::new(to, size_of::<u32>())?.writer();
//!
//!     let mut bytes = [0; 64];
//!     let bytes = &mut bytes[..len.min(64)];
//!     copy_from_user(task, &mut *bytes, &mut from)?;
//!     put_user(task, &mut to, &bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>())
//! }
//! ```

use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::atomic::{KmapAtomic, kmap_atomic};
use crate::context::{Atomic, MaySleep};
use crate::kernel::{Faults, Kernel, PoolKernel, UserKernel};
use crate::ops::{self, memcpy_from_page, memcpy_to_page};
use crate::page::{Access, Memory, Page, Writable};
use crate::paging::PAGE_SIZE;
use crate::pool::Kmap;
use crate::slot::{KmType, Slot};

/// A copy of user memory that was not made, or not whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The addresses are not all those of user space.
    NotUser {
        /// The first one.
        address: usize,
        /// How many they are.
        len: usize,
    },
    /// There are fewer bytes of user memory than were to be copied. None is.
    TooShort {
        /// How many were to be copied.
        len: usize,
        /// How many there are.
        available: usize,
    },
    /// There are fewer bytes of the kernel's than were to be copied. None is.
    OutOfPage(ops::Error),
    /// A page of user memory is not there, or not to be had without sleeping. What is before it is copied.
    Fault {
        /// How many bytes at the end are not: at least one.
        left: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUser { address, len } => write!(f, "{len} bytes at {address:#x} are not all user memory"),
            Self::TooShort { len, available } => write!(f, "{len} bytes of user memory, and there are {available}"),
            Self::OutOfPage(error) => error.fmt(f),
            Self::Fault { left } => write!(f, "a fault in user memory: {left} bytes at the end are not copied"),
        }
    }
}

impl core::error::Error for Error {}

impl From<ops::Error> for Error {
    fn from(error: ops::Error) -> Self {
        Self::OutOfPage(error)
    }
}

/// Addresses of the user memory of the process that runs. Linux: `access_ok()` has said yes.
///
/// Whether something is there, and what, only a copy says. It stays with its thread, as another one may run another process.
pub struct UserSlice<K> {
    address: usize,
    len: usize,
    // Invariant in the kernel, as another one may have less user memory; not `Send`, not `Sync`.
    of_this_thread: PhantomData<*mut K>,
}

impl<K: UserKernel> UserSlice<K> {
    /// `len` bytes from `address` on.
    ///
    /// # Errors
    /// [`Error::NotUser`], unless all of them lie below [`UserKernel::USER_END`].
    #[inline]
    pub const fn new(address: usize, len: usize) -> Result<Self, Error> {
        match address.checked_add(len) {
            Some(end) if end <= K::USER_END => Ok(Self { address, len, of_this_thread: PhantomData }),
            _ => Err(Error::NotUser { address, len }),
        }
    }

    /// How many bytes.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// To copy them from there, each once.
    #[inline]
    pub const fn reader(self) -> UserReader<K> {
        UserReader(self)
    }

    /// To copy them to there, each once.
    #[inline]
    pub const fn writer(self) -> UserWriter<K> {
        UserWriter(self)
    }

    /// To copy them from there, and others to there.
    #[inline]
    pub const fn reader_writer(self) -> (UserReader<K>, UserWriter<K>) {
        let Self { address, len, of_this_thread } = self;
        (UserReader(Self { address, len, of_this_thread }), UserWriter(self))
    }

    /// The address of the first `len` bytes.
    #[inline]
    fn first(&self, len: usize) -> Result<usize, Error> {
        if len <= self.len { Ok(self.address) } else { Err(Error::TooShort { len, available: self.len }) }
    }

    /// Takes the first `len` bytes away, which [`first`](Self::first) has found to be there.
    #[inline]
    fn advance(&mut self, len: usize) {
        self.address += len;
        self.len -= len;
    }
}

/// User memory that is copied from: what has been copied is not there any more, so that nothing is read twice.
pub struct UserReader<K>(UserSlice<K>);

/// User memory that is copied to, one part behind the other.
pub struct UserWriter<K>(UserSlice<K>);

/// What is the same for both.
macro_rules! cursor {
    ($($name:ident)*) => {$(
        impl<K: UserKernel> $name<K> {
            /// How many bytes are left.
            #[inline]
            pub const fn len(&self) -> usize {
                self.0.len()
            }

            /// Whether none is left.
            #[inline]
            pub const fn is_empty(&self) -> bool {
                self.0.is_empty()
            }

            /// Goes on behind the next `len` bytes.
            ///
            /// # Errors
            /// [`Error::TooShort`], if there are fewer.
            #[inline]
            pub fn skip(&mut self, len: usize) -> Result<(), Error> {
                self.0.first(len)?;
                self.0.advance(len);
                Ok(())
            }
        }
    )*};
}

cursor! { UserReader UserWriter }

impl<K> fmt::Debug for UserSlice<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserSlice({} bytes at {:#x})", self.len, self.address)
    }
}

impl<K> fmt::Debug for UserReader<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UserReader").field(&self.0).finish()
    }
}

impl<K> fmt::Debug for UserWriter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UserWriter").field(&self.0).finish()
    }
}

/// Copies the next bytes of user memory, as many as `to` has. May sleep. Linux: `copy_from_user()`.
///
/// What a fault leaves uncopied stays as it was; Linux fills it with zeros.
///
/// # Errors
/// [`Error::Fault`], if user memory is not there: what is before it is copied, and `from` goes on there. [`Error::TooShort`] and
/// [`Error::OutOfPage`]: then nothing is copied.
#[inline]
pub fn copy_from_user<K: UserKernel>(
    task: &mut MaySleep<'_, K>,
    to: impl Target,
    from: &mut UserReader<K>,
) -> Result<(), Error> {
    // I7: the borrow says that nothing is mapped atomically.
    let _ = task;
    fetch(to, from, Faults::Handled)
}

/// Copies bytes to user memory: all of `from`. May sleep. Linux: `copy_to_user()`.
///
/// # Errors
/// As [`copy_from_user`].
#[inline]
pub fn copy_to_user<K: UserKernel>(
    task: &mut MaySleep<'_, K>,
    to: &mut UserWriter<K>,
    from: impl Source,
) -> Result<(), Error> {
    // I7: the borrow says that nothing is mapped atomically.
    let _ = task;
    store(to, from, Faults::Handled)
}

/// Copies the next `T` from user memory, which need not be aligned. May sleep. Linux: `get_user()`.
///
/// # Errors
/// As [`copy_from_user`]; `from` goes on behind a whole value, or stays where it is.
///
/// ```
/// # use highmem::user::{Error, UserReader, get_user};
/// # use highmem::{Task, UserKernel};
/// /// A length, and so many bytes. What is checked is what is used: the reader has gone on.
/// fn message<K: UserKernel>(task: &mut Task<'_, K>, from: &mut UserReader<K>) -> Result<usize, Error> {
///     let len: u16 = get_user(task, from)?;
///     Ok(usize::from(len).min(from.len()))
/// }
/// ```
#[inline]
pub fn get_user<T: FromBytes, K: UserKernel>(task: &mut MaySleep<'_, K>, from: &mut UserReader<K>) -> Result<T, Error> {
    // I7: the borrow says that nothing is mapped atomically.
    let _ = task;
    let (mut value, len) = (T::new_zeroed(), size_of::<T>());
    let address = from.0.first(len)?;
    // SAFETY: I6: the bytes of `value` are ours, and any bytes make a `T`. The address is user memory, by `UserSlice::new`. I7: may sleep.
    match unsafe { K::copy_from_user((&raw mut value).cast(), address, len, Faults::Handled) } {
        0 => {
            from.0.advance(len);
            Ok(value)
        }
        left => Err(Error::Fault { left }),
    }
}

/// Copies a value to user memory, where it need not be aligned. May sleep. Linux: `put_user()`.
///
/// # Errors
/// As [`copy_from_user`]; `to` goes on behind a whole value, or stays where it is.
#[inline]
pub fn put_user<T: IntoBytes + Immutable, K: UserKernel>(
    task: &mut MaySleep<'_, K>,
    to: &mut UserWriter<K>,
    value: &T,
) -> Result<(), Error> {
    // I7: the borrow says that nothing is mapped atomically.
    let _ = task;
    let bytes = value.as_bytes();
    let address = to.0.first(bytes.len())?;
    // SAFETY: I6: the bytes are borrowed, and all of them are data. The address is user memory, by `UserSlice::new`. I7: may sleep.
    match unsafe { K::copy_to_user(address, bytes.as_ptr(), bytes.len(), Faults::Handled) } {
        0 => {
            to.0.advance(bytes.len());
            Ok(())
        }
        left => Err(Error::Fault { left }),
    }
}

/// As [`copy_from_user`], without sleeping: in any context, and under any mapping. Linux: `__copy_from_user_inatomic()`.
///
/// # Errors
/// As [`copy_from_user`]; but [`Error::Fault`] already where user memory is not there at once. Somebody who may sleep then goes on with
/// the rest: [`copy_page_from_user`] does it all.
///
/// ```
/// # use highmem::user::{Error, UserReader, copy_from_user_inatomic};
/// # use highmem::{SharedFrame, Task, UserKernel, kmap_atomic, linux::Set};
/// /// How many bytes of the page could be filled at once.
/// fn fill<K: UserKernel<KmTypes = Set>>(
///     task: &mut Task<'_, K>,
///     page: &mut SharedFrame<K::Paging>,
///     from: &mut UserReader<K>,
/// ) -> Result<usize, Error> {
///     let mut atomic = task.atomic();
///     let mut mapped = kmap_atomic(atomic.slots().user0, page);
///     let len = from.len().min(highmem::PAGE_SIZE);
///     match copy_from_user_inatomic((&mut mapped, 0..len), from) {
///         Ok(()) => Ok(len),
///         Err(Error::Fault { left }) => Ok(len - left),
///         Err(error) => Err(error),
///     }
/// }
/// ```
#[inline]
pub fn copy_from_user_inatomic<K: UserKernel>(to: impl Target, from: &mut UserReader<K>) -> Result<(), Error> {
    fetch(to, from, Faults::NotHandled)
}

/// As [`copy_to_user`], without sleeping: in any context, and under any mapping. Linux: `__copy_to_user_inatomic()`.
///
/// # Errors
/// As [`copy_from_user_inatomic`].
#[inline]
pub fn copy_to_user_inatomic<K: UserKernel>(to: &mut UserWriter<K>, from: impl Source) -> Result<(), Error> {
    store(to, from, Faults::NotHandled)
}

/// How much is copied by way of the stack where user memory was not there at once. One byte brings in its page, so it need not be much.
const BOUNCE: usize = 128;

/// Copies the next bytes of user memory into a page that has no address: to `at`, in bytes from its beginning. May sleep, but not while
/// the page is mapped. What Linux's `generic_perform_write()` does for each page.
///
/// `slot` says which slot. Copies in atomic context as long as user memory is there. Where it is not, the next few bytes are copied to the
/// stack, by a copy that may sleep and brings their page in, and from there. So each round has copied something when the next begins, even
/// if all that was brought in is gone again; and nothing is read twice.
///
/// # Errors
/// As [`copy_from_user`].
///
/// ```
/// # use highmem::user::{Error, UserSlice, copy_page_from_user};
/// # use highmem::{SharedFrame, PAGE_SIZE, Task, UserKernel, linux::Set};
/// fn write<K: UserKernel<KmTypes = Set>>(
///     task: &mut Task<'_, K>,
///     page: &mut SharedFrame<K::Paging>,
///     address: usize,
/// ) -> Result<(), Error> {
///     let mut from = UserSlice::<K>::new(address, PAGE_SIZE)?.reader();
///     copy_page_from_user(task, |atomic| atomic.slots().user0, page, 0..PAGE_SIZE, &mut from)
/// }
/// ```
#[track_caller]
pub fn copy_page_from_user<K, S, P>(
    task: &mut MaySleep<'_, K>,
    slot: impl for<'a, 'cx> Fn(&'a mut Atomic<'cx, K>) -> Slot<'a, K, S>,
    mut page: P,
    at: Range<usize>,
    from: &mut UserReader<K>,
) -> Result<(), Error>
where
    K: UserKernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory + Writable>,
{
    let (mut start, mut left) = part_of_page(&at)?;
    loop {
        let at_once = {
            let mut atomic = task.atomic();
            let mut mapped = kmap_atomic(slot(&mut atomic), &mut page);
            copy_from_user_inatomic((&mut mapped, start..start + left), from)
        };
        let Err(Error::Fault { left: rest }) = at_once else { return at_once };
        (start, left) = (start + left - rest, rest);

        let mut bounce = [0; BOUNCE];
        let bounce = &mut bounce[..left.min(BOUNCE)];
        let copied = progress(bounce.len(), left, copy_from_user(task, &mut *bounce, from))?;
        memcpy_to_page(slot(&mut task.atomic()), &mut page, start, &bounce[..copied])?;
        (start, left) = (start + copied, left - copied);
    }
}

/// Copies `at` of a page that has no address to user memory: [`copy_page_from_user`], the other way round.
///
/// # Errors
/// As [`copy_from_user`].
#[track_caller]
pub fn copy_page_to_user<K, S, P>(
    task: &mut MaySleep<'_, K>,
    to: &mut UserWriter<K>,
    slot: impl for<'a, 'cx> Fn(&'a mut Atomic<'cx, K>) -> Slot<'a, K, S>,
    page: &P,
    at: Range<usize>,
) -> Result<(), Error>
where
    K: UserKernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Access<Shared: Memory>>,
{
    let (mut start, mut left) = part_of_page(&at)?;
    loop {
        let at_once = {
            let mut atomic = task.atomic();
            let mapped = kmap_atomic(slot(&mut atomic), page);
            copy_to_user_inatomic(to, (&mapped, start..start + left))
        };
        let Err(Error::Fault { left: rest }) = at_once else { return at_once };
        (start, left) = (start + left - rest, rest);

        let mut bounce = [0; BOUNCE];
        let bounce = &mut bounce[..left.min(BOUNCE)];
        memcpy_from_page(bounce, slot(&mut task.atomic()), page, start)?;
        let copied = progress(bounce.len(), left, copy_to_user(task, to, &*bounce))?;
        (start, left) = (start + copied, left - copied);
    }
}

/// Where a part of a page begins, and how many bytes it has. One whose end is not behind its start is empty.
#[inline]
fn part_of_page(at: &Range<usize>) -> Result<(usize, usize), ops::Error> {
    let (start, len) = (at.start, at.end.saturating_sub(at.start));
    ops::check(start, len, PAGE_SIZE)?;
    Ok((start, len))
}

/// How many of `len` bytes were copied, if that is any; if not, all of the `left` are left.
fn progress(len: usize, left: usize, result: Result<(), Error>) -> Result<usize, Error> {
    match result {
        Ok(()) => Ok(len),
        Err(Error::Fault { left: rest }) if rest < len => Ok(len - rest),
        Err(Error::Fault { .. }) => Err(Error::Fault { left }),
        Err(error) => Err(error),
    }
}

/// Copies all of `to` from user memory.
#[inline]
fn fetch<K: UserKernel>(mut to: impl Target, from: &mut UserReader<K>, faults: Faults) -> Result<(), Error> {
    let (bytes, len) = to.bytes()?;
    let address = from.0.first(len)?;
    // SAFETY: I4, I6: `to` has these bytes for writing, and is there until the end. The address is user memory, by `UserSlice::new`. I7: who
    // passes `Handled` holds a `MaySleep`.
    let left = unsafe { K::copy_from_user(bytes, address, len, faults) };
    from.0.advance(len - left);
    if left == 0 { Ok(()) } else { Err(Error::Fault { left }) }
}

/// Copies all of `from` to user memory.
#[inline]
fn store<K: UserKernel>(to: &mut UserWriter<K>, from: impl Source, faults: Faults) -> Result<(), Error> {
    let (bytes, len) = from.bytes()?;
    let address = to.0.first(len)?;
    // SAFETY: I4, I6: `from` has these bytes, and is there until the end. The address is user memory, by `UserSlice::new`. I7: who passes
    // `Handled` holds a `MaySleep`.
    let left = unsafe { K::copy_to_user(address, bytes, len, faults) };
    to.0.advance(len - left);
    if left == 0 { Ok(()) } else { Err(Error::Fault { left }) }
}

/// Bytes of the kernel's that are copied to: `&mut [u8]`, or a mapping and which of its bytes. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not memory of the kernel that can be copied to",
    label = "expected `&mut buffer[..]`, or `(&mut guard, 0..len)` with a mapping that can be written",
    note = "a page has to be mapped first, or use `copy_page_from_user`"
)]
pub trait Target: sealed::Target {}

/// Bytes of the kernel's that are copied from: `&[u8]`, or a mapping and which of its bytes. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not memory of the kernel that can be copied from",
    label = "expected `&buffer[..]`, or `(&guard, 0..len)` with a mapping",
    note = "a page has to be mapped first, or use `copy_page_to_user`",
    note = "of other data, copy the bytes: `value.as_bytes()` (`zerocopy::IntoBytes`: data without padding)"
)]
pub trait Source: sealed::Source {}

mod sealed {
    use crate::ops::Error;

    pub trait Target {
        /// The first byte, and how many: writable for as long as `self` exists and is not used.
        fn bytes(&mut self) -> Result<(*mut u8, usize), Error>;
    }

    pub trait Source {
        /// The first byte, and how many: readable for as long as `self` exists.
        fn bytes(&self) -> Result<(*const u8, usize), Error>;
    }
}

impl Target for &mut [u8] {}
impl sealed::Target for &mut [u8] {
    #[inline]
    fn bytes(&mut self) -> Result<(*mut u8, usize), ops::Error> {
        Ok((self.as_mut_ptr(), self.len()))
    }
}

impl Source for &[u8] {}
impl sealed::Source for &[u8] {
    #[inline]
    fn bytes(&self) -> Result<(*const u8, usize), ops::Error> {
        Ok((self.as_ptr(), self.len()))
    }
}

impl<const N: usize> Target for &mut [u8; N] {}
impl<const N: usize> sealed::Target for &mut [u8; N] {
    #[inline]
    fn bytes(&mut self) -> Result<(*mut u8, usize), ops::Error> {
        Ok((self.as_mut_ptr(), N))
    }
}

impl<const N: usize> Source for &[u8; N] {}
impl<const N: usize> sealed::Source for &[u8; N] {
    #[inline]
    fn bytes(&self) -> Result<(*const u8, usize), ops::Error> {
        Ok((self.as_ptr(), N))
    }
}

/// Bytes of a mapping: the same for each kind of mapping. What is mapped can be memory that others write: no reference is made.
macro_rules! mapped {
    ([$($generics:tt)*] $guard:ty, where $($bounds:tt)*) => {
        impl<$($generics)*> Target for (&mut $guard, Range<usize>)
        where
            $($bounds)*
            P: Page<Paging = K::Paging, Access: Memory + Writable>,
        {
        }
        impl<$($generics)*> sealed::Target for (&mut $guard, Range<usize>)
        where
            $($bounds)*
            P: Page<Paging = K::Paging, Access: Memory + Writable>,
        {
            #[inline]
            fn bytes(&mut self) -> Result<(*mut u8, usize), ops::Error> {
                let (guard, at) = self;
                let (start, len) = part_of_page(at)?;
                Ok((guard.start().wrapping_add(start), len))
            }
        }

        impl<$($generics)*> Source for (&$guard, Range<usize>)
        where
            $($bounds)*
            P: Page<Paging = K::Paging, Access: Memory>,
        {
        }
        impl<$($generics)*> sealed::Source for (&$guard, Range<usize>)
        where
            $($bounds)*
            P: Page<Paging = K::Paging, Access: Memory>,
        {
            #[inline]
            fn bytes(&self) -> Result<(*const u8, usize), ops::Error> {
                let (guard, at) = self;
                let (start, len) = part_of_page(at)?;
                Ok((guard.start().wrapping_add(start), len))
            }
        }
    };
}

mapped!([K, S, P] KmapAtomic<'_, K, S, P>, where K: Kernel, S: KmType<Set = K::KmTypes>,);
mapped!([K, P] Kmap<'_, K, P>, where K: PoolKernel,);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Task;
    use crate::test_kernel::TestKernel;
    use std::cell::RefCell;
    use std::string::ToString;
    use std::vec::Vec;

    type K = TestKernel<false>;

    const END: usize = 0xc000_0000;

    std::thread_local! {
        /// The copies: to user memory or not, the address, how many bytes, and what becomes of faults.
        static COPIES: RefCell<Vec<(bool, usize, usize, Faults)>> = const { RefCell::new(Vec::new()) };
    }

    // SAFETY: nothing is accessed, and nothing is copied but the first three bytes.
    unsafe impl UserKernel for K {
        const USER_END: usize = END;

        unsafe fn copy_from_user(_: *mut u8, from: usize, len: usize, faults: Faults) -> usize {
            COPIES.with_borrow_mut(|copies| copies.push((false, from, len, faults)));
            len.saturating_sub(3)
        }

        unsafe fn copy_to_user(to: usize, _: *const u8, len: usize, faults: Faults) -> usize {
            COPIES.with_borrow_mut(|copies| copies.push((true, to, len, faults)));
            len.saturating_sub(3)
        }
    }

    fn slice(address: usize, len: usize) -> UserSlice<K> {
        UserSlice::new(address, len).unwrap()
    }

    fn with_task<R>(f: impl FnOnce(&mut Task<'_, K>) -> R) -> R {
        // SAFETY: a test is a thread that may sleep, and has one task.
        unsafe { Task::enter(f) }
    }

    #[test]
    fn a_slice_ends_where_user_memory_does() {
        let is_user = |address, len| UserSlice::<K>::new(address, len).is_ok();
        assert!(is_user(0, 0) && is_user(0, 1) && is_user(0, END));
        assert!(is_user(END - 1, 1) && is_user(END - 1, 0) && is_user(END, 0));
        assert!(!is_user(END - 1, 2) && !is_user(END, 1) && !is_user(END + 1, 0));
        assert!(!is_user(0, END + 1) && !is_user(1, END));
    }

    #[test]
    fn a_slice_that_wraps_is_none() {
        let is_user = |address, len| UserSlice::<K>::new(address, len).is_ok();
        assert!(!is_user(usize::MAX, 1) && !is_user(usize::MAX, 0) && !is_user(1, usize::MAX));
        assert!(!is_user(0x1000, usize::MAX - 0xfff), "the end is 0");
        assert!(!is_user(0x1000, usize::MAX - 0xf00), "the end is small");
        let error = UserSlice::<K>::new(END, 16).unwrap_err();
        assert_eq!(error.to_string(), "16 bytes at 0xc0000000 are not all user memory");
    }

    #[test]
    fn a_reader_goes_on_behind_what_was_copied() {
        let mut from = slice(0x1000, 10).reader();
        let mut bytes = [0; 8];
        with_task(|task| {
            assert_eq!(copy_from_user(task, &mut bytes[..2], &mut from), Ok(()));
            assert_eq!((from.0.address, from.len()), (0x1002, 8));
            assert_eq!(copy_from_user(task, &mut bytes, &mut from), Err(Error::Fault { left: 5 }));
            assert_eq!((from.0.address, from.len()), (0x1005, 5));
            assert_eq!(copy_from_user(task, &mut bytes[..6], &mut from), Err(Error::TooShort { len: 6, available: 5 }));
        });
        assert_eq!(std::format!("{from:?}"), "UserReader(UserSlice(5 bytes at 0x1005))");
        assert_eq!(from.skip(6), Err(Error::TooShort { len: 6, available: 5 }));
        assert_eq!(from.skip(4), Ok(()));
        assert_eq!((from.0.address, from.len(), from.is_empty()), (0x1009, 1, false));
        let copies = COPIES.take();
        assert_eq!(copies, [(false, 0x1000, 2, Faults::Handled), (false, 0x1002, 8, Faults::Handled)]);
    }

    #[test]
    fn a_writer_goes_on_behind_what_was_copied() {
        let (from, mut to) = slice(0x1000, 10).reader_writer();
        with_task(|task| {
            assert_eq!(copy_to_user(task, &mut to, b"ab"), Ok(()));
            assert_eq!(copy_to_user(task, &mut to, b"cdefghij"), Err(Error::Fault { left: 5 }));
            assert_eq!(copy_to_user(task, &mut to, b"cdefgh"), Err(Error::TooShort { len: 6, available: 5 }));
        });
        assert_eq!(std::format!("{to:?}"), "UserWriter(UserSlice(5 bytes at 0x1005))");
        assert_eq!((to.0.address, to.len(), from.0.address, from.len()), (0x1005, 5, 0x1000, 10));
        let copies = COPIES.take();
        assert_eq!(copies, [(true, 0x1000, 2, Faults::Handled), (true, 0x1002, 8, Faults::Handled)]);
    }

    #[test]
    fn values_are_copied_whole_or_the_place_stays() {
        let (mut from, mut to) = slice(0x2000, 10).reader_writer();
        with_task(|task| {
            assert_eq!(get_user::<u16, K>(task, &mut from), Ok(0));
            assert_eq!(get_user::<u64, K>(task, &mut from), Err(Error::Fault { left: 5 }));
            assert_eq!((from.0.address, from.len()), (0x2002, 8));
            assert_eq!(get_user::<[u8; 9], K>(task, &mut from), Err(Error::TooShort { len: 9, available: 8 }));

            assert_eq!(put_user(task, &mut to, &7_u16), Ok(()));
            assert_eq!(put_user(task, &mut to, &7_u64), Err(Error::Fault { left: 5 }));
            assert_eq!((to.0.address, to.len()), (0x2002, 8));
            assert_eq!(put_user(task, &mut to, &[7_u8; 9]), Err(Error::TooShort { len: 9, available: 8 }));
        });
        assert!(COPIES.take().iter().all(|copy| copy.3 == Faults::Handled));
    }

    #[test]
    fn in_atomic_context_faults_are_not_handled() {
        let (mut from, mut to) = slice(0x1000, 10).reader_writer();
        let mut bytes = [0; 5];
        assert_eq!(copy_from_user_inatomic(&mut bytes, &mut from), Err(Error::Fault { left: 2 }));
        assert_eq!(copy_to_user_inatomic(&mut to, &bytes), Err(Error::Fault { left: 2 }));
        assert_eq!((from.0.address, to.0.address), (0x1003, 0x1003));
        let copies = COPIES.take();
        assert_eq!(copies, [(false, 0x1000, 5, Faults::NotHandled), (true, 0x1000, 5, Faults::NotHandled)]);
    }

    #[test]
    fn errors_say_what_is_missing() {
        let short = Error::TooShort { len: 8, available: 2 };
        assert_eq!(short.to_string(), "8 bytes of user memory, and there are 2");
        assert_eq!(Error::Fault { left: 3 }.to_string(), "a fault in user memory: 3 bytes at the end are not copied");
        let page = ops::Error::OutOfBounds { offset: 4096, len: 1, size: 4096 };
        assert_eq!(Error::from(page).to_string(), page.to_string());
    }
}
