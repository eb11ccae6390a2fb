//! Runs of pages: frames that follow one another, as a compound page or a folio has them.
//!
//! In C, a large page is one `struct page *` like any other. `kmap_atomic` maps the first 4096 bytes of it, and what is behind them is
//! somebody else's: a copy of `folio_size` bytes, a hash of an entry longer than a page, an offset that was never split into page and rest.
//! With lowmem it works.
//!
//! The rule (I4): a mapping is of one page; what is longer goes page by page, each mapped once, and no step goes past the page's end.
//!
//! The types say it: a [`PageRun`] is no [`Page`], and cannot be mapped; its pages can, one by one, and borrow the run. What is to be done
//! with many of them is done by the operations here.
//!
//! They have Linux's names, with `run` where Linux says `folio`. As in [`ops`](super), what is written comes first, the tokens are
//! arguments, and a range that does not fit is an [`Error`] before anything is mapped. No bytes are none of any page: an empty range may
//! be at the very end, and maps nothing.

use core::marker::PhantomData;
use core::num::NonZero;
use core::{cmp, fmt, iter};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::scatter::{Segment, Walk, copy_between};
use super::{Error, check};
use crate::atomic::kmap_atomic;
use crate::copy;
use crate::kernel::Kernel;
use crate::page::{Access, Memory, Page, Pfn, PfnError, ReadWrite, Volatile, Writable};
use crate::paging::{PAGE_SIZE, Paging};
use crate::slot::{KmType, Slot};

/// Frames of memory that follow one another, and what their owner may do with them.
///
/// A kernel's own compound page or folio joins by implementing this trait; [`FrameRun`] and [`SharedFrameRun`] serve kernels without one.
/// `&R` and `&mut R` are runs whenever `R` is, as with [`Page`]: through a shared borrow, it is only read.
///
/// # Safety
/// The implementer promises, for as long as the value exists:
///
/// - [ ] `first` and `pages` return the same each time, and what is provided stays as it is. Each frame of the run has a number that the paging mode can express, and all of
///   them together have fewer than [`usize::MAX`] bytes.
/// - [ ] For each of the frames, what [`Page`] asks for: it is ordinary memory, cached write-back, nobody else is given it, and nobody
///   touches its bytes but as [`Access`](Self::Access) says. The access is none of a device.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a run of pages",
    label = "expected a run: `&run` (only read), `&mut run`, or an owned run",
    note = "a kernel's own compound page becomes a run by `unsafe impl highmem::PageRun`"
)]
pub unsafe trait PageRun {
    /// The paging mode whose frame numbers these are.
    type Paging: Paging;

    /// How the bytes may be touched.
    type Access: Access;

    /// The first frame.
    fn first(&self) -> Pfn<Self::Paging>;

    /// How many frames there are.
    fn pages(&self) -> NonZero<usize>;

    /// How many bytes there are.
    #[inline]
    fn size(&self) -> usize {
        self.pages().get() * PAGE_SIZE
    }

    /// The page with this number, the first being 0, to be read.
    ///
    /// # Errors
    /// When there are not so many.
    #[inline]
    fn page(&self, number: usize) -> Result<RunPage<&Self>, Error> {
        RunPage::checked(&self, number)
    }

    /// The page with this number, to be written. The run is borrowed until the page is no longer used.
    ///
    /// # Errors
    /// When there are not so many.
    #[inline]
    fn page_mut(&mut self, number: usize) -> Result<RunPage<&mut Self>, Error> {
        RunPage::checked(&self, number)
    }
}

// SAFETY: I6: the shared borrow keeps everybody from writing through the value, and the access is cut down to reading.
unsafe impl<R: PageRun + ?Sized> PageRun for &R {
    type Paging = R::Paging;
    type Access = <R::Access as Access>::Shared;

    #[inline]
    fn first(&self) -> Pfn<R::Paging> {
        R::first(self)
    }

    #[inline]
    fn pages(&self) -> NonZero<usize> {
        R::pages(self)
    }
}

// SAFETY: I6: an exclusive borrow is as good as the value for as long as it lasts.
unsafe impl<R: PageRun + ?Sized> PageRun for &mut R {
    type Paging = R::Paging;
    type Access = R::Access;

    #[inline]
    fn first(&self) -> Pfn<R::Paging> {
        R::first(self)
    }

    #[inline]
    fn pages(&self) -> NonZero<usize> {
        R::pages(self)
    }
}

/// A page of a run, for as long as the borrow `R` of the run.
///
/// ```
/// use highmem::{FrameRun, Kernel, PageRun, Slot, kmap_atomic, linux::{Set, User0}};
///
/// fn mark<K: Kernel<KmTypes = Set>>(
///     slot: Slot<'_, K, User0>,
///     run: &mut FrameRun<K::Paging>,
/// ) -> Result<(), highmem::ops::Error> {
///     kmap_atomic(slot, run.page_mut(3)?)[0] = 1;
///     Ok(())
/// }
/// ```
pub struct RunPage<R: PageRun> {
    pfn: Pfn<R::Paging>,
    run: PhantomData<R>,
}

impl<R: PageRun> RunPage<R> {
    /// # Errors
    /// When the run has fewer pages. The caller has the borrow, and makes no other page of it.
    #[inline]
    fn checked(run: &R, number: usize) -> Result<Self, Error> {
        let pages = run.pages().get();
        if number >= pages {
            return Err(Error::NoSuchPage { number, pages });
        }
        // SAFETY: I5, I6: it is one of them. What is borrowed is in the type of the page, and stays borrowed for as long as it lives.
        Ok(unsafe { Self::new(run, number) })
    }

    /// # Safety
    /// The run has this page (I4), exists for longer than the value (I5), and while the value lives the caller neither has the page
    /// otherwise nor lets others have it (I6).
    #[inline]
    pub(super) unsafe fn new(run: &R, number: usize) -> Self {
        let pfn = Pfn::new(run.first().number() as u64 + number as u64);
        // SAFETY: I9: that each frame's number fits is what `PageRun` promises.
        Self { pfn: unsafe { pfn.unwrap_unchecked() }, run: PhantomData }
    }
}

// SAFETY: I5, I6: the frame is one of the run's, and who has the page has the run, borrowed; see `new`. It is memory, and cached
// write-back, as all frames of a run are.
unsafe impl<R: PageRun> Page for RunPage<R> {
    type Paging = R::Paging;
    type Access = R::Access;

    #[inline]
    fn pfn(&self) -> Pfn<R::Paging> {
        self.pfn
    }
}

impl<R: PageRun> fmt::Debug for RunPage<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunPage({:?})", self.pfn)
    }
}

/// Frames that are no run: the paging mode cannot express the last one, or they have more bytes than there are addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunError {
    first: usize,
    pages: usize,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, pages } = self;
        write!(f, "{pages} page frames from number {first:#x} on are too many, or do not fit this paging mode")
    }
}

impl core::error::Error for RunError {}

/// Frames that follow one another.
#[derive(PartialEq, Eq, Debug)]
struct Pfns<M> {
    first: Pfn<M>,
    pages: NonZero<usize>,
}

impl<M: Paging> Pfns<M> {
    fn new(first: Pfn<M>, pages: NonZero<usize>) -> Result<Self, RunError> {
        let error = RunError { first: first.number(), pages: pages.get() };
        let last = (first.number() as u64).checked_add(pages.get() as u64 - 1).ok_or(error)?;
        Pfn::<M>::new(last).map_err(|_: PfnError| error)?;
        if pages.get() > usize::MAX / PAGE_SIZE {
            return Err(error);
        }
        Ok(Self { first, pages })
    }
}

/// Frames that follow one another, and belong to this value alone: a [`Frame`](crate::Frame), but longer.
///
/// It has no `Drop`: [`into_pfns`](Self::into_pfns) gives the frames back.
#[derive(PartialEq, Eq, Debug)]
pub struct FrameRun<M>(Pfns<M>);

/// Frames that follow one another, and that user space, a device or other CPUs may write at any time: a
/// [`SharedFrame`](crate::SharedFrame), but longer.
#[derive(PartialEq, Eq, Debug)]
pub struct SharedFrameRun<M>(Pfns<M>);

impl<M: Paging> FrameRun<M> {
    /// Takes possession of `pages` frames from `first` on.
    ///
    /// # Safety
    /// As [`Frame::from_pfn`](crate::Frame::from_pfn), for each of them.
    ///
    /// # Errors
    /// When the paging mode cannot express the last one, or they have more bytes than there are addresses.
    pub unsafe fn from_pfns(first: Pfn<M>, pages: NonZero<usize>) -> Result<Self, RunError> {
        Pfns::new(first, pages).map(Self)
    }

    /// Gives the frames back: the first, and how many they are.
    #[inline]
    pub fn into_pfns(self) -> (Pfn<M>, NonZero<usize>) {
        (self.0.first, self.0.pages)
    }
}

impl<M: Paging> SharedFrameRun<M> {
    /// Refers to `pages` frames from `first` on, which others use as well.
    ///
    /// # Safety
    /// As [`SharedFrame::from_pfn`](crate::SharedFrame::from_pfn), for each of them.
    ///
    /// # Errors
    /// As [`FrameRun::from_pfns`].
    pub unsafe fn from_pfns(first: Pfn<M>, pages: NonZero<usize>) -> Result<Self, RunError> {
        Pfns::new(first, pages).map(Self)
    }

    /// Gives the frames back: the first, and how many they are.
    #[inline]
    pub fn into_pfns(self) -> (Pfn<M>, NonZero<usize>) {
        (self.0.first, self.0.pages)
    }
}

// SAFETY: I5, I6: by `from_pfns` the frames belong to this value, which cannot be cloned; it has checked their number.
unsafe impl<M: Paging> PageRun for FrameRun<M> {
    type Paging = M;
    type Access = ReadWrite;

    #[inline]
    fn first(&self) -> Pfn<M> {
        self.0.first
    }

    #[inline]
    fn pages(&self) -> NonZero<usize> {
        self.0.pages
    }
}

// SAFETY: I5, I6: by `from_pfns` the frames stay allocated, and nobody has a reference into them; it has checked their number.
unsafe impl<M: Paging> PageRun for SharedFrameRun<M> {
    type Paging = M;
    type Access = Volatile;

    #[inline]
    fn first(&self) -> Pfn<M> {
        self.0.first
    }

    #[inline]
    fn pages(&self) -> NonZero<usize> {
        self.0.pages
    }
}

/// A walk over `len` bytes of a run, from `offset` on.
#[inline]
fn walk<K, S, R>(
    slot: Slot<'_, K, S>,
    run: R,
    offset: usize,
    len: usize,
) -> Result<Walk<'_, K, S, iter::Once<Segment<R>>>, Error>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging, Access: Memory>,
{
    Ok(Walk::new(slot, iter::once(Segment::new(run, offset, len)?)))
}

/// Copies `to.len()` bytes from `offset` on out of a run. Linux: `memcpy_from_folio()`.
///
/// ```
/// use highmem::{FrameRun, Kernel, Task, linux::Set, ops::{Error, memcpy_from_run}};
///
/// fn header<K: Kernel<KmTypes = Set>>(task: &mut Task<'_, K>, run: &FrameRun<K::Paging>) -> Result<[u8; 64], Error> {
///     let mut header = [0; 64];
///     memcpy_from_run(&mut header, task.atomic().slots().user0, run, 4064)?; // over the end of the first page
///     Ok(header)
/// }
/// ```
///
/// # Errors
/// When they go past the end of the run; then nothing is copied.
#[inline]
#[track_caller]
pub fn memcpy_from_run<K, S, R>(to: &mut [u8], slot: Slot<'_, K, S>, run: R, offset: usize) -> Result<(), Error>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging, Access: Memory>,
{
    walk(slot, run, offset, to.len())?.read(to);
    Ok(())
}

/// Copies `from` into a run, to `offset` and what follows. Linux: `memcpy_to_folio()`.
///
/// # Errors
/// When it would go past the end of the run; then nothing is copied.
#[inline]
#[track_caller]
pub fn memcpy_to_run<K, S, R>(slot: Slot<'_, K, S>, run: R, offset: usize, from: &[u8]) -> Result<(), Error>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging, Access: Memory + Writable>,
{
    walk(slot, run, offset, from.len())?.write(from);
    Ok(())
}

/// Copies `len` bytes from one run to another: each page of either is mapped once, wherever the pages of the other end.
///
/// # Errors
/// When either range goes past the end of its run; then nothing is copied.
#[inline]
#[track_caller]
pub fn memcpy_run<K, T, S, R, Q>(
    to_slot: Slot<'_, K, T>,
    (to, to_offset): (R, usize),
    from_slot: Slot<'_, K, S>,
    (from, from_offset): (Q, usize),
    len: usize,
) -> Result<(), Error>
where
    K: Kernel,
    T: KmType<Set = K::KmTypes>,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging, Access: Memory + Writable>,
    Q: PageRun<Paging = K::Paging, Access: Memory>,
{
    if to_offset % PAGE_SIZE == from_offset % PAGE_SIZE {
        return copy_abreast((to_slot, to, to_offset), (from_slot, from, from_offset), len);
    }
    let mut to = walk(to_slot, to, to_offset, len)?;
    let mut from = walk(from_slot, from, from_offset, len)?;
    copy_between(&mut to, &mut from, len);
    Ok(())
}

/// As [`memcpy_run`], where the pages of both end together: no page is mapped for longer than a step, and there is nothing to remember from
/// one to the next.
#[inline]
#[track_caller]
fn copy_abreast<K, T, S, R, Q>(
    (mut to_slot, to, to_offset): (Slot<'_, K, T>, R, usize),
    (mut from_slot, from, from_offset): (Slot<'_, K, S>, Q, usize),
    len: usize,
) -> Result<(), Error>
where
    K: Kernel,
    T: KmType<Set = K::KmTypes>,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging, Access: Memory + Writable>,
    Q: PageRun<Paging = K::Paging, Access: Memory>,
{
    check(to_offset, len, to.size())?;
    check(from_offset, len, from.size())?;
    let (mut to_page, mut from_page) = (to_offset / PAGE_SIZE, from_offset / PAGE_SIZE);
    let (mut offset, mut left) = (to_offset % PAGE_SIZE, len);
    while left > 0 {
        let now = cmp::min(left, PAGE_SIZE - offset);
        // SAFETY: I4: both ranges are within their runs, and there is a byte left. I5, I6: the runs are there until the end, and their pages
        // until the end of the step; no other page is made of them meanwhile.
        let pages = unsafe { (RunPage::new(&to, to_page), RunPage::new(&from, from_page)) };
        let from = kmap_atomic(from_slot.reborrow(), pages.1);
        let to = kmap_atomic(to_slot.reborrow(), pages.0);
        // SAFETY: I4, I6: both within their pages, which are mapped until the guards are dropped, the first of them writable.
        unsafe { copy::copy(K::copy_by(), to.start().wrapping_add(offset), from.start().wrapping_add(offset), now) };
        drop((to, from));
        (to_page, from_page, offset, left) = (to_page + 1, from_page + 1, 0, left - now);
    }
    Ok(())
}

/// Writes `byte` to `len` bytes of a run, from `offset` on.
///
/// # Errors
/// When they go past the end of the run; then nothing is written.
#[inline]
#[track_caller]
pub fn memset_run<K, S, R>(slot: Slot<'_, K, S>, run: R, offset: usize, byte: u8, len: usize) -> Result<(), Error>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging, Access: Memory + Writable>,
{
    walk(slot, run, offset, len)?.fill(byte, len);
    Ok(())
}

/// Zeroes `len` bytes of a run, from `offset` on. Linux: `folio_zero_range()`.
///
/// # Errors
/// As [`memset_run`].
#[inline]
#[track_caller]
pub fn memzero_run<K, S, R>(slot: Slot<'_, K, S>, run: R, offset: usize, len: usize) -> Result<(), Error>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging, Access: Memory + Writable>,
{
    memset_run(slot, run, offset, 0, len)
}

/// Zeroes a run from `offset` to its end. Linux: `folio_zero_tail()`.
///
/// # Errors
/// When `offset` is past the end of the run; then nothing is written.
#[inline]
#[track_caller]
pub fn run_zero_tail<K, S, R>(slot: Slot<'_, K, S>, run: R, offset: usize) -> Result<(), Error>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging, Access: Memory + Writable>,
{
    let len = run.size().saturating_sub(offset);
    memset_run(slot, run, offset, 0, len)
}

/// Copies `from` into a run, to `offset` and what follows, and zeroes what is behind it, to the end of the run. Linux:
/// `folio_fill_tail()`. The page in which the one ends and the other begins is mapped once.
///
/// # Errors
/// When `from` would go past the end of the run; then nothing is written.
#[inline]
#[track_caller]
pub fn run_fill_tail<K, S, R>(slot: Slot<'_, K, S>, run: R, offset: usize, from: &[u8]) -> Result<(), Error>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging, Access: Memory + Writable>,
{
    check(offset, from.len(), run.size())?;
    let len = run.size() - offset;
    let mut walk = walk(slot, run, offset, len)?;
    walk.write(from);
    walk.fill(0, len - from.len());
    Ok(())
}

/// A copy of the `T` at `offset` bytes into a run, which need not be aligned, and may go on in the next page.
///
/// # Errors
/// When it would go past the end of the run; then nothing is read.
#[inline]
#[track_caller]
pub fn run_read_obj<T, K, S, R>(slot: Slot<'_, K, S>, run: R, offset: usize) -> Result<T, Error>
where
    T: FromBytes + IntoBytes,
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging, Access: Memory>,
{
    let mut value = T::new_zeroed();
    memcpy_from_run(value.as_mut_bytes(), slot, run, offset)?;
    Ok(value)
}

/// Copies `value` to `offset` bytes into a run, which need not be aligned, and may go on in the next page.
///
/// # Errors
/// When it would go past the end of the run; then nothing is written.
#[inline]
#[track_caller]
pub fn run_write_obj<T, K, S, R>(slot: Slot<'_, K, S>, run: R, offset: usize, value: &T) -> Result<(), Error>
where
    T: IntoBytes + Immutable,
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging, Access: Memory + Writable>,
{
    memcpy_to_run(slot, run, offset, value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paging::{Long, NonPae, Pae};
    use std::string::ToString;

    fn pages(number: usize) -> NonZero<usize> {
        NonZero::new(number).unwrap()
    }

    #[test]
    fn the_last_frame_has_to_fit() {
        let first = Pfn::<NonPae>::new(0xf_fffe).unwrap();
        // SAFETY: I5: exist only as numbers.
        unsafe {
            let run = FrameRun::from_pfns(first, pages(2)).unwrap();
            assert_eq!((run.size(), run.page(1).unwrap().pfn().number()), (2 * PAGE_SIZE, 0xf_ffff));
            assert_eq!(run.into_pfns(), (first, pages(2)));
            let error = FrameRun::from_pfns(first, pages(3)).unwrap_err();
            assert_eq!(SharedFrameRun::from_pfns(first, pages(3)), Err(error));
            let expected = "3 page frames from number 0xffffe on are too many, or do not fit this paging mode";
            assert_eq!(error.to_string(), expected);
            assert!(FrameRun::from_pfns(first, NonZero::<usize>::MAX).is_err());
        }
    }

    #[test]
    fn all_bytes_have_to_be_fewer_than_there_are_addresses() {
        // SAFETY: I5: exist only as numbers.
        unsafe {
            if usize::BITS == 32 {
                let first = Pfn::<Pae>::new(1 << 20).unwrap();
                assert!(FrameRun::from_pfns(first, pages(1 << 20)).is_err());
                assert_eq!(FrameRun::from_pfns(first, pages((1 << 20) - 1)).unwrap().size(), usize::MAX - 0xfff);
            } else {
                let last = Pfn::<Long>::new((1 << Long::PFN_BITS) - 1).unwrap();
                assert!(FrameRun::from_pfns(last, pages(1)).is_ok());
                assert!(FrameRun::from_pfns(last, pages(2)).is_err());
            }
        }
    }

    #[test]
    fn a_page_past_the_end_is_an_error() {
        // SAFETY: I5: exists only as a number.
        let mut run = unsafe { FrameRun::<Pae>::from_pfns(Pfn::new(7).unwrap(), pages(2)) }.unwrap();
        assert_eq!(run.page(2).unwrap_err(), Error::NoSuchPage { number: 2, pages: 2 });
        let error = run.page_mut(usize::MAX).unwrap_err();
        assert_eq!(error.to_string(), std::format!("there is no page {}: the run has 2", usize::MAX));
        assert_eq!(run.page_mut(1).unwrap().pfn().number(), 8);
    }
}
