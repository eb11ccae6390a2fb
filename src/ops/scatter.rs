//! Scatter lists: parts of runs, one after the other, that together are some bytes.
//!
//! In C, an entry of a list is a page, an offset and a length, and nothing says that they fit: the offset may lie in a later page, the
//! length may be that of many. Whoever maps the entry's page and adds the offset is right until somebody merges two entries. Drivers
//! wrote past the first page of an entry for twenty years, and hashed past it; a walk that ended early left the last page mapped.
//!
//! The rule (I4): an entry is checked once, when it is made. A list is walked page by page, with one page mapped at a time, and none when
//! the walk is over, wherever it ends.
//!
//! The types say it: a [`Segment`] cannot be made of what does not fit. A list is whatever iterates over segments: of a slice or a
//! `Vec`, `iter` gives segments that are read, and `iter_mut` segments that may be written; Linux's chained lists are [`Iterator::chain`].
//! [`SgWalk`] gives one [`Part`] after the other, each borrowed from it, so that none is left when the next is mapped.
//!
//! The operations have Linux's names, and give what Linux's do: how many bytes there were.

use core::fmt;
use core::iter::Fuse;
use core::marker::PhantomData;
use core::mem;
use core::ops::{Deref, DerefMut};
use core::{cmp, slice};

use super::run::{PageRun, RunPage};
use super::{Error, check};
use crate::atomic::{KmapAtomic, kmap_atomic, kunmap_atomic};
use crate::copy::{self, CopyBy};
use crate::kernel::Kernel;
use crate::page::{Access, Memory, Referenced, ReferencedMut, Writable};
use crate::paging::PAGE_SIZE;
use crate::slot::{KmType, Slot};

/// Some bytes of a run: an entry of a scatter list. It may begin in any page of the run, and go on over many.
#[derive(Debug)]
pub struct Segment<R> {
    run: R,
    /// Where it begins, in bytes from the start of the run.
    offset: usize,
    /// How many bytes it has: all of them are within the run.
    len: usize,
}

impl<R: PageRun> Segment<R> {
    /// The `len` bytes of a run from `offset` on.
    ///
    /// # Errors
    /// When they go past the end of the run. The run is then dropped: to keep it, pass a borrow.
    #[inline]
    pub fn new(run: R, offset: usize, len: usize) -> Result<Self, Error> {
        check(offset, len, run.size())?;
        Ok(Self { run, offset, len })
    }

    /// All bytes of a run.
    #[inline]
    pub fn whole(run: R) -> Self {
        let len = run.size();
        Self { run, offset: 0, len }
    }
}

impl<R> Segment<R> {
    /// Where it begins, in bytes from the start of the run.
    #[inline]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes it has.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "an empty one is like any other")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The run that it is a part of.
    #[inline]
    pub fn run(&self) -> &R {
        &self.run
    }

    /// The run that it is a part of, to be written.
    #[inline]
    pub(crate) fn run_mut(&mut self) -> &mut R {
        &mut self.run
    }

    /// Gives the run back.
    #[inline]
    pub fn into_run(self) -> R {
        self.run
    }

    /// How many bytes are left in the page in which it begins.
    #[inline]
    fn in_page(&self) -> usize {
        cmp::min(self.len, PAGE_SIZE - self.offset % PAGE_SIZE)
    }

    /// Leaves out `len` bytes at its beginning, which it has.
    #[inline]
    fn leave_out(&mut self, len: usize) {
        debug_assert!(len <= self.len);
        self.offset += len;
        self.len -= len;
    }
}

/// What a list consists of: a segment, or a borrow of one. `&Segment<R>` is a part of `&R`, which is only read, and `&mut Segment<R>` one
/// of `&mut R`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a segment of a scatter list",
    label = "expected something that iterates over `Segment`s, or over `&` or `&mut` of them"
)]
pub trait ToSegment {
    /// What it is a part of.
    type Run: PageRun;

    /// The segment.
    fn to_segment(self) -> Segment<Self::Run>;
}

impl<R: PageRun> ToSegment for Segment<R> {
    type Run = R;

    #[inline]
    fn to_segment(self) -> Self {
        self
    }
}

impl<'a, R: PageRun> ToSegment for &'a Segment<R> {
    type Run = &'a R;

    #[inline]
    fn to_segment(self) -> Segment<&'a R> {
        Segment { run: &self.run, offset: self.offset, len: self.len }
    }
}

impl<'a, R: PageRun> ToSegment for &'a mut Segment<R> {
    type Run = &'a mut R;

    #[inline]
    fn to_segment(self) -> Segment<&'a mut R> {
        Segment { run: &mut self.run, offset: self.offset, len: self.len }
    }
}

/// What the segments of a list are parts of.
type RunOf<I> = <<I as Iterator>::Item as ToSegment>::Run;

/// A slot, and the page that is mapped there, if one is.
enum Place<'cx, K, S, R>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging>,
{
    Free(Slot<'cx, K, S>),
    Mapped(KmapAtomic<'cx, K, S, RunPage<R>>),
    /// Between the two; and for good, if mapping panics.
    Between,
}

impl<'cx, K, S, R> Place<'cx, K, S, R>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging>,
{
    #[inline]
    #[track_caller]
    fn take(&mut self) -> Slot<'cx, K, S> {
        match mem::replace(self, Self::Between) {
            Self::Free(slot) => slot,
            Self::Mapped(guard) => kunmap_atomic(guard).0,
            Self::Between => panic!("a panic has lost the slot"),
        }
    }

    #[inline]
    fn unmap(&mut self) {
        if let Self::Mapped(_) = self {
            *self = Self::Free(self.take());
        }
    }
}

/// Where one is in a list: the page there is mapped when it is needed, and for as long as one is in it.
pub(super) struct Walk<'cx, K, S, I>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    I: Iterator<Item: ToSegment<Run: PageRun<Paging = K::Paging>>>,
{
    // Dropped in this order: a run may be freed only when its page is unmapped (I5).
    place: Place<'cx, K, S, RunOf<I>>,
    /// What is left of the segment that one is in. If a page is mapped, it is the page in which this begins, and there is a byte left.
    segment: Option<Segment<RunOf<I>>>,
    list: Fuse<I>,
}

impl<'cx, K, S, I> Walk<'cx, K, S, I>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    I: Iterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory>>>,
{
    #[inline]
    pub(super) fn new(slot: Slot<'cx, K, S>, list: I) -> Self {
        Self { place: Place::Free(slot), segment: None, list: list.fuse() }
    }

    /// The segment in which the next byte is, if there is one.
    #[inline]
    fn segment(&mut self) -> Option<&mut Segment<RunOf<I>>> {
        while self.segment.as_ref().is_none_or(|segment| segment.len == 0) {
            // No page is mapped: the segment that goes has no bytes left.
            self.segment = Some(self.list.next()?.to_segment());
        }
        self.segment.as_mut()
    }

    /// The bytes that are left in the page and the segment in which the next byte is: where they are, and how many, which is not 0. Maps
    /// the page, if it is not yet. The pointer is good until `self` is used again.
    #[inline]
    #[track_caller]
    fn here(&mut self) -> Option<(*mut u8, usize)> {
        self.segment()?;
        let Self { place, segment: Some(segment), .. } = self else { return None };
        if !matches!(place, Place::Mapped(_)) {
            let slot = place.take();
            // SAFETY: I4: the segment is within its run, and not empty, so that the page is one of the run's. I5: it is unmapped before the
            // segment, and with it the run, is replaced or dropped. I6: it is the only one, and nobody gets the run meanwhile.
            let page = unsafe { RunPage::new(&segment.run, segment.offset / PAGE_SIZE) };
            *place = Place::Mapped(kmap_atomic(slot, page));
        }
        let Place::Mapped(guard) = place else { return None };
        Some((guard.start().wrapping_add(segment.offset % PAGE_SIZE), segment.in_page()))
    }

    /// Goes on by `len` bytes, which are left in the page.
    ///
    /// # Panics
    /// If there are not so many.
    #[inline]
    pub(super) fn advance(&mut self, len: usize) {
        if len == 0 {
            return;
        }
        let rest = self.segment.as_ref().map_or(0, Segment::in_page);
        assert!(len <= rest, "{len} bytes are consumed of {rest}");
        if let Some(segment) = &mut self.segment {
            segment.leave_out(len);
        }
        if len == rest {
            self.place.unmap();
        }
    }

    /// Goes on by as many bytes as there are, but not more than `len`, and says by how many. Maps nothing.
    pub(super) fn skip(&mut self, len: usize) -> usize {
        let mut skipped = 0;
        while skipped < len
            && let Some(segment) = self.segment()
        {
            let here = segment.in_page();
            let step = cmp::min(len - skipped, segment.len);
            segment.leave_out(step);
            if step >= here {
                self.place.unmap();
            }
            skipped += step;
        }
        skipped
    }

    /// Goes on by as many bytes as there are, but not more than `len`, and says by how many. `f` is given them piece by piece, each within a
    /// page: where they are now, how many there were before, and how many they are.
    #[inline]
    #[track_caller]
    fn pieces(&mut self, len: usize, mut f: impl FnMut(*mut u8, usize, usize)) -> usize {
        let mut done = 0;
        while done < len
            && let Some((at, there)) = self.here()
        {
            let now = cmp::min(len - done, there);
            f(at, done, now);
            self.advance(now);
            done += now;
        }
        done
    }

    /// Copies bytes out, until there are no more or `to` is full, and says how many.
    #[inline]
    #[track_caller]
    pub(super) fn read(&mut self, to: &mut [u8]) -> usize {
        self.pieces(to.len(), |from, done, now| {
            let to = &mut to[done..][..now];
            // SAFETY: I4, I6: these bytes are mapped; whoever may write them, no reference to them is made.
            unsafe { copy::copy(K::copy_by(), to.as_mut_ptr(), from, now) };
        })
    }

    /// Copies bytes in, until there is no more room or no more of `from`, and says how many.
    #[inline]
    #[track_caller]
    pub(super) fn write(&mut self, from: &[u8]) -> usize
    where
        <RunOf<I> as PageRun>::Access: Writable,
    {
        self.pieces(from.len(), |to, done, now| {
            let from = &from[done..][..now];
            // SAFETY: I4, I6: these bytes are mapped writable; whoever else may use them, no reference to them is made.
            unsafe { copy::copy(K::copy_by(), to, from.as_ptr(), now) };
        })
    }

    /// Writes `byte` to what follows, until there is no more room or it was done `len` times, and says how often.
    #[inline]
    #[track_caller]
    pub(super) fn fill(&mut self, byte: u8, len: usize) -> usize
    where
        <RunOf<I> as PageRun>::Access: Writable,
    {
        // SAFETY: I4, I6: as in `write`.
        self.pieces(len, |to, _, now| unsafe { copy::fill(K::copy_by(), to, byte, now) })
    }

    /// The bytes that are left in the page, borrowed; none at the end.
    #[inline]
    #[track_caller]
    pub(super) fn bytes(&mut self) -> &[u8]
    where
        <RunOf<I> as PageRun>::Access: Referenced,
    {
        let Some((start, len)) = self.here() else { return &[] };
        // SAFETY: I4: mapped until `self` is used again, which the borrow prevents. I6: by its access, nobody writes the page meanwhile.
        unsafe { slice::from_raw_parts(start, len) }
    }

    /// The bytes that are left in the page, as what the access allows.
    #[inline]
    #[track_caller]
    fn part(&mut self) -> Option<Part<'_, <RunOf<I> as PageRun>::Access>> {
        let (start, len) = self.here()?;
        Some(Part { start, len, of: PhantomData })
    }
}

/// Copies bytes from one walk to another, until either has no more or it was `len`, and says how many. Each page is mapped once.
#[inline]
#[track_caller]
pub(super) fn copy_between<K, T, S, I, J>(to: &mut Walk<'_, K, T, I>, from: &mut Walk<'_, K, S, J>, len: usize) -> usize
where
    K: Kernel,
    T: KmType<Set = K::KmTypes>,
    S: KmType<Set = K::KmTypes>,
    I: Iterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory + Writable>>>,
    J: Iterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory>>>,
{
    let mut copied = 0;
    // Nothing is mapped that is not used: whether there is more is asked of both first.
    while copied < len
        && from.segment().is_some()
        && to.segment().is_some()
        && let Some((source, there)) = from.here()
        && let Some((target, room)) = to.here()
    {
        let now = cmp::min(len - copied, cmp::min(there, room));
        // SAFETY: I4, I6: both are mapped, and for that many bytes; the access of the first lets it be written.
        unsafe { copy::copy(K::copy_by(), target, source, now) };
        from.advance(now);
        to.advance(now);
        copied += now;
    }
    copied
}

/// Bytes of one page, mapped: what [`SgWalk::next`] gives, and what of the page belongs to the list.
///
/// They are a `[u8]` where the [`Access`] of the run allows that, and are copied where it does not.
pub struct Part<'a, A> {
    start: *mut u8,
    len: usize,
    of: PhantomData<(&'a mut [u8], A)>,
}

impl<A: Access> Part<'_, A> {
    /// How many bytes there are: never 0.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Copies bytes out: `buffer.len()` bytes from `offset` on. Each is read once.
    ///
    /// # Errors
    /// When it would go past the end of the part; then nothing is copied.
    #[inline]
    pub fn read_at(&self, offset: usize, buffer: &mut [u8]) -> Result<(), Error> {
        check(offset, buffer.len(), self.len)?;
        // SAFETY: I4, I6: within the part, which is mapped as long as the walk is borrowed; no reference is made.
        unsafe { copy::copy(CopyBy::Words, buffer.as_mut_ptr(), self.start.wrapping_add(offset), buffer.len()) };
        Ok(())
    }

    /// Copies bytes in: `data` to `offset` and what follows. Each is written once.
    ///
    /// # Errors
    /// When it would go past the end of the part; then nothing is copied.
    #[inline]
    pub fn write_at(&mut self, offset: usize, data: &[u8]) -> Result<(), Error>
    where
        A: Writable,
    {
        check(offset, data.len(), self.len)?;
        // SAFETY: I4, I6: as in `read_at`; and the mapping is writable.
        unsafe { copy::copy(CopyBy::Words, self.start.wrapping_add(offset), data.as_ptr(), data.len()) };
        Ok(())
    }
}

impl<A: Referenced> Deref for Part<'_, A> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: I4: mapped as long as the walk is borrowed. I6: by its access, nobody writes the page while `self` is borrowed.
        unsafe { slice::from_raw_parts(self.start, self.len) }
    }
}

impl<A: ReferencedMut> DerefMut for Part<'_, A> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: I4: mapped as long as the walk is borrowed. I6: by its access, the page is the walk's alone, which is borrowed
        // exclusively, as `self` is.
        unsafe { slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl<A> fmt::Debug for Part<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({} bytes at {:p})", self.len, self.start)
    }
}

/// Goes through a scatter list page by page. Linux: `sg_mapping_iter`.
///
/// It owns its token, and maps one page at a time. Dropping it unmaps.
///
/// ```
/// use highmem::{FrameRun, Kernel, Task, linux::Set, ops::{Segment, SgWalk}};
///
/// /// How many bytes of a list are zero.
/// fn zeros<K: Kernel<KmTypes = Set>>(task: &mut Task<'_, K>, list: &[Segment<FrameRun<K::Paging>>]) -> usize {
///     let mut atomic = task.atomic();
///     let mut walk = SgWalk::new(atomic.slots().user0, list);
///     let mut zeros = 0;
///     while let Some(part) = walk.next() {
///         zeros += part.iter().filter(|&&byte| byte == 0).count();
///     }
///     zeros
/// }
/// ```
#[must_use = "it does nothing until `next` is called"]
pub struct SgWalk<'cx, K, S, I>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    I: Iterator<Item: ToSegment<Run: PageRun<Paging = K::Paging>>>,
{
    walk: Walk<'cx, K, S, I>,
    /// How many bytes the last part had.
    given: usize,
}

impl<'cx, K, S, I> SgWalk<'cx, K, S, I>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    I: Iterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory>>>,
{
    /// Begins at the first byte of a list. Nothing is mapped yet. Linux: `sg_miter_start()`.
    #[inline]
    pub fn new(slot: Slot<'cx, K, S>, list: impl IntoIterator<IntoIter = I>) -> Self {
        Self { walk: Walk::new(slot, list.into_iter()), given: 0 }
    }

    /// Unmaps the last part, and maps the next. Linux: `sg_miter_next()`.
    ///
    /// A part ends where its page ends, or its segment.
    #[inline]
    #[track_caller]
    #[expect(clippy::should_implement_trait, reason = "an iterator's items can be kept")]
    pub fn next(&mut self) -> Option<Part<'_, <RunOf<I> as PageRun>::Access>> {
        self.walk.advance(mem::take(&mut self.given));
        let part = self.walk.part()?;
        self.given = part.len;
        Some(part)
    }

    /// Leaves out what is left of the last part, and bytes behind it, as many as there are, but not more than `len`, and says how many.
    /// Linux: `sg_miter_skip()`.
    #[inline]
    pub fn skip(&mut self, len: usize) -> usize {
        self.walk.advance(mem::take(&mut self.given));
        self.walk.skip(len)
    }
}

/// How many bytes a list has; `None` if they are more than a `usize` can tell.
#[inline]
#[must_use]
pub fn sg_total_len(list: impl IntoIterator<Item: ToSegment>) -> Option<usize> {
    list.into_iter().try_fold(0, |sum: usize, item| sum.checked_add(item.to_segment().len))
}

/// Copies bytes out of a list, and says how many: fewer than `to` has room for if the list has no more. Linux: `sg_copy_to_buffer()`.
#[inline]
#[track_caller]
#[must_use = "what the list does not have was not copied"]
pub fn sg_copy_to_buffer<K, S, L>(to: &mut [u8], slot: Slot<'_, K, S>, list: L) -> usize
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    L: IntoIterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory>>>,
{
    sg_pcopy_to_buffer(to, slot, list, 0)
}

/// As [`sg_copy_to_buffer`], from the byte number `skip` on. Linux: `sg_pcopy_to_buffer()`.
#[inline]
#[track_caller]
#[must_use = "what the list does not have was not copied"]
pub fn sg_pcopy_to_buffer<K, S, L>(to: &mut [u8], slot: Slot<'_, K, S>, list: L, skip: usize) -> usize
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    L: IntoIterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory>>>,
{
    let mut walk = Walk::new(slot, list.into_iter());
    walk.skip(skip);
    walk.read(to)
}

/// Copies bytes into a list, and says how many: fewer than `from` has if the list has no more room. Linux: `sg_copy_from_buffer()`.
#[inline]
#[track_caller]
#[must_use = "what the list has no room for was not copied"]
pub fn sg_copy_from_buffer<K, S, L>(slot: Slot<'_, K, S>, list: L, from: &[u8]) -> usize
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    L: IntoIterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory + Writable>>>,
{
    sg_pcopy_from_buffer(slot, list, from, 0)
}

/// As [`sg_copy_from_buffer`], to the byte number `skip` and what follows. Linux: `sg_pcopy_from_buffer()`.
#[inline]
#[track_caller]
#[must_use = "what the list has no room for was not copied"]
pub fn sg_pcopy_from_buffer<K, S, L>(slot: Slot<'_, K, S>, list: L, from: &[u8], skip: usize) -> usize
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    L: IntoIterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory + Writable>>>,
{
    let mut walk = Walk::new(slot, list.into_iter());
    walk.skip(skip);
    walk.write(from)
}

/// Zeroes `len` bytes of a list, from the byte number `skip` on, and says how many: fewer if the list has no more. Linux:
/// `sg_zero_buffer()`.
#[inline]
#[track_caller]
#[must_use = "what the list does not have was not zeroed"]
pub fn sg_zero_buffer<K, S, L>(slot: Slot<'_, K, S>, list: L, len: usize, skip: usize) -> usize
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    L: IntoIterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory + Writable>>>,
{
    let mut walk = Walk::new(slot, list.into_iter());
    walk.skip(skip);
    walk.fill(0, len)
}

/// Copies `len` bytes from one list to another, and says how many: fewer if either has no more. Their shapes need not agree; each page of
/// either is mapped once for each segment that it is in.
///
/// ```
/// use highmem::{FrameRun, Kernel, Task, linux::Set, ops::{Segment, sg_copy}};
///
/// fn copy_all<K: Kernel<KmTypes = Set>>(
///     task: &mut Task<'_, K>,
///     to: &mut [Segment<FrameRun<K::Paging>>],
///     from: &[Segment<FrameRun<K::Paging>>],
/// ) -> usize {
///     let mut atomic = task.atomic();
///     let slots = atomic.slots();
///     sg_copy(slots.user1, to, slots.user0, from, usize::MAX)
/// }
/// ```
#[inline]
#[track_caller]
#[must_use = "what either list does not have was not copied"]
pub fn sg_copy<K, T, S, L, M>(to_slot: Slot<'_, K, T>, to: L, from_slot: Slot<'_, K, S>, from: M, len: usize) -> usize
where
    K: Kernel,
    T: KmType<Set = K::KmTypes>,
    S: KmType<Set = K::KmTypes>,
    L: IntoIterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory + Writable>>>,
    M: IntoIterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory>>>,
{
    let mut to = Walk::new(to_slot, to.into_iter());
    let mut from = Walk::new(from_slot, from.into_iter());
    copy_between(&mut to, &mut from, len)
}
