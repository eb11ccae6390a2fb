//! A request, from the pages that it is made of to those that come back.

use core::cmp;
use core::marker::PhantomData;
use core::mem;

use super::reserve::Reserve;
use super::segments::{Piece, Segments};
use super::{Extent, Refused};
use crate::atomic::kmap_atomic;
use crate::context::{Atomic, MaySleep, Task};
use crate::copy;
use crate::kernel::BounceKernel;
use crate::machine::Machine;
use crate::ops::PageRun;
use crate::page::{Memory, Page, Writable};
use crate::slot::{Group, KmType, Slot};

/// Where the bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From memory to the device.
    Write,
    /// From the device to memory.
    Read,
}

/// Pages of a reserve, which go back to it.
struct Taken<'r, K: BounceKernel, B, const PAGES: usize, const N: usize> {
    reserve: &'r Reserve<K, B, PAGES>,
    pages: [Option<B>; N],
}

impl<K: BounceKernel, B, const PAGES: usize, const N: usize> Drop for Taken<'_, K, B, PAGES, N> {
    fn drop(&mut self) {
        if self.pages.iter().any(Option::is_some) {
            self.reserve.give_back(self.pages.iter_mut().filter_map(Option::take));
        }
    }
}

/// What a request consists of, in each state.
struct Request<'r, K: BounceKernel, R, B, const PAGES: usize, const N: usize> {
    direction: Direction,
    segments: Segments<R, N>,
    /// One page for each piece that the device does not reach, in their order.
    taken: Taken<'r, K, B, PAGES, N>,
}

impl<'r, K, R, B, const PAGES: usize, const N: usize> Request<'r, K, R, B, PAGES, N>
where
    K: BounceKernel,
    R: PageRun<Paging = K::Paging>,
    B: Page<Paging = K::Paging>,
{
    fn new(
        reserve: &'r Reserve<K, B, PAGES>,
        direction: Direction,
        segments: Segments<R, N>,
        waiting: Option<&mut MaySleep<'_, K>>,
    ) -> Result<Self, Refused<R, N>> {
        let mut taken = Taken { reserve, pages: [const { None }; N] };
        let pieces = segments.pieces().count();
        let bounced = segments.pieces().filter(|piece| !reserve.reach().covers_page(piece.frame)).count();
        if let Err(why) = reserve.take(bounced, &mut taken.pages, waiting) {
            return Err(Refused { segments, why });
        }
        reserve.count(bounced, pieces - bounced);
        Ok(Self { direction, segments, taken })
    }

    /// The pieces in order, each with its page of the reserve if it has one.
    fn pieces(&self) -> impl Iterator<Item = (Piece, Option<&B>)> {
        let mut pages = self.taken.pages.iter().flatten();
        self.segments.pieces().map(move |piece| {
            let bounced = !self.taken.reserve.reach().covers_page(piece.frame);
            (piece, if bounced { pages.next() } else { None })
        })
    }

    /// The pieces that are bounced: where each is, where the direct map has its page of the reserve, and how many bytes are before it.
    fn bounced(&self) -> impl Iterator<Item = (Piece, *mut u8, usize)> {
        let mut before = 0;
        self.pieces().filter_map(move |(piece, page)| {
            let at = before;
            before += piece.len;
            // Found when the page was added, and there for good.
            let bytes = K::direct_map(page?.pfn())?;
            Some((piece, bytes.as_ptr().cast(), at))
        })
    }

    fn extents(&self) -> impl Iterator<Item = Extent> {
        self.pieces().map(|(piece, page)| {
            let address = page.map_or(piece.address(), |page| page.pfn().address() + piece.offset as u64);
            Extent { address, len: piece.len }
        })
    }

    /// Piece `number` of those that are bounced, and the run that it is a part of.
    fn nth_bounced(&mut self, number: usize) -> Option<(Piece, *mut u8, usize, &mut R)> {
        let (piece, bytes, before) = self.bounced().nth(number)?;
        let run = self.segments.run_mut(&piece)?;
        Some((piece, bytes, before, run))
    }

    /// How many pieces are bounced.
    fn count_bounced(&self) -> usize {
        self.taken.pages.iter().flatten().count()
    }

    /// Copies bounced piece `number` into its low page.
    fn copy_in<S>(&mut self, number: usize, slot: Slot<'_, K, S>)
    where
        S: KmType<Set = K::KmTypes>,
    {
        let Some((piece, bytes, _, run)) = self.nth_bounced(number) else { return };
        let Ok(page) = run.page(piece.page) else { return };
        let from = kmap_atomic(slot, page);
        // SAFETY: I4, I5, I6: the piece is within one page, which is mapped until `from` is dropped; the page of the reserve belongs to this
        // request, and the direct map has it. No device was told of it yet.
        unsafe {
            let source = from.start().wrapping_add(piece.offset);
            copy::copy(K::copy_by(), bytes.wrapping_add(piece.offset), source, piece.len);
        }
    }

    /// Copies bounced piece `number` back from its low page, as far as it is among the first `came` bytes.
    ///
    /// # Safety
    /// The device does not access the low page any more, and the run may be written.
    unsafe fn copy_back<S>(&mut self, number: usize, slot: Slot<'_, K, S>, came: usize)
    where
        S: KmType<Set = K::KmTypes>,
    {
        let Some((piece, bytes, before, run)) = self.nth_bounced(number) else { return };
        let len = cmp::min(piece.len, came.saturating_sub(before));
        let Ok(page) = run.page_mut(piece.page) else { return };
        if len == 0 {
            return;
        }
        let to = kmap_atomic(slot, page);
        // SAFETY: I4, I5, I6: as in `copy_in`, the other way; the caller says that the page is mapped to be written, and that the device is done.
        unsafe {
            let source = bytes.wrapping_add(piece.offset);
            copy::copy(K::copy_by(), to.start().wrapping_add(piece.offset), source, len);
        }
    }
}

impl<K: BounceKernel, B, const PAGES: usize> Reserve<K, B, PAGES>
where
    B: Page<Paging = K::Paging, Access: Memory + Writable> + 'static,
{
    /// Prepares a request that writes these segments to the device, and sleeps until there are pages for it. What the device does not reach
    /// is copied now: page by page, in the slot that `slot` takes out of the context that it is lent for each.
    ///
    /// What comes back beside the request is the task, for as long as the request is not submitted: it may sleep, and may not wait for pages.
    ///
    /// ```
    /// # use highmem::bounce::{Refused, Reserve, Segments};
    /// # use highmem::{BounceKernel, Frame, FrameRun, Task, linux::Set};
    /// # fn write<K: BounceKernel<KmTypes = Set>>(
    /// #     task: &mut Task<'_, K>,
    /// #     reserve: &Reserve<K, Frame<K::Paging>, 16>,
    /// #     pages: Segments<FrameRun<K::Paging>, 8>,
    /// # ) -> Result<(), Refused<FrameRun<K::Paging>, 8>> {
    /// let (prepared, _may_sleep) = reserve.write(task, pages, |atomic| atomic.slots().user0)?;
    /// let pages = prepared.cancel();
    /// # drop(pages);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the reserve can never have as many pages, or the kernel ended the wait.
    #[allow(clippy::type_complexity, reason = "the request and the task, or the segments")]
    pub fn write<'r, 'cx, 'e, R, S, const N: usize>(
        &'r self,
        task: &'cx mut Task<'e, K>,
        segments: Segments<R, N>,
        mut slot: impl for<'a, 'b> FnMut(&'a mut Atomic<'b, K>) -> Slot<'a, K, S>,
    ) -> Result<(Prepared<'cx, 'r, K, R, B, PAGES, N>, &'cx mut MaySleep<'e, K>), Refused<R, N>>
    where
        R: PageRun<Paging = K::Paging, Access: Memory> + 'static,
        S: KmType<Set = K::KmTypes>,
    {
        let may_sleep = &mut task.may_sleep;
        let mut request = Request::new(self, Direction::Write, segments, Some(may_sleep))?;
        for number in 0..request.count_bounced() {
            request.copy_in(number, slot(&mut may_sleep.atomic()));
        }
        Ok((Prepared { request, context: PhantomData }, may_sleep))
    }

    /// Prepares a request that reads from the device into these segments, and sleeps until there are pages for it.
    ///
    /// What comes back beside the request is the task, as with [`write`](Self::write).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    #[allow(clippy::type_complexity, reason = "the request and the task, or the segments")]
    pub fn read<'r, 'cx, 'e, R, const N: usize>(
        &'r self,
        task: &'cx mut Task<'e, K>,
        segments: Segments<R, N>,
    ) -> Result<(Prepared<'cx, 'r, K, R, B, PAGES, N>, &'cx mut MaySleep<'e, K>), Refused<R, N>>
    where
        R: PageRun<Paging = K::Paging, Access: Memory + Writable> + 'static,
    {
        let may_sleep = &mut task.may_sleep;
        let request = Request::new(self, Direction::Read, segments, Some(may_sleep))?;
        Ok((Prepared { request, context: PhantomData }, may_sleep))
    }

    /// As [`write`](Self::write), if there are pages and nobody waits for them: never sleeps, and copies all in one slot, in whatever context
    /// that is but an NMI's. Until the request is submitted, the context does not sleep either: the request holds the slot's borrow.
    ///
    /// # Errors
    /// When there are not so many pages now ([`Refusal::Exhausted`](super::Refusal::Exhausted)), or there can never be.
    pub fn try_write<'r, 'cx, R, S, const N: usize>(
        &'r self,
        mut slot: Slot<'cx, K, S>,
        segments: Segments<R, N>,
    ) -> Result<Prepared<'cx, 'r, K, R, B, PAGES, N>, Refused<R, N>>
    where
        R: PageRun<Paging = K::Paging, Access: Memory> + 'static,
        S: KmType<Set = K::KmTypes>,
    {
        const { check_no_nmi::<S>() };
        let mut request = Request::new(self, Direction::Write, segments, None)?;
        for number in 0..request.count_bounced() {
            request.copy_in(number, slot.reborrow());
        }
        Ok(Prepared { request, context: PhantomData })
    }

    /// As [`read`](Self::read), if there are pages and nobody waits for them. Never sleeps, as [`try_write`](Self::try_write); the slot says
    /// that nobody does who holds the request.
    ///
    /// # Errors
    /// As [`try_write`](Self::try_write).
    pub fn try_read<'r, 'cx, R, S, const N: usize>(
        &'r self,
        _slot: Slot<'cx, K, S>,
        segments: Segments<R, N>,
    ) -> Result<Prepared<'cx, 'r, K, R, B, PAGES, N>, Refused<R, N>>
    where
        R: PageRun<Paging = K::Paging, Access: Memory + Writable> + 'static,
        S: KmType<Set = K::KmTypes>,
    {
        const { check_no_nmi::<S>() };
        let request = Request::new(self, Direction::Read, segments, None)?;
        Ok(Prepared { request, context: PhantomData })
    }
}

/// A request that has its pages, and of which no device knows. Dropping it gives them back.
#[must_use = "the pages of a request that is not submitted go back to the reserve"]
pub struct Prepared<'cx, 'r, K: BounceKernel, R, B, const PAGES: usize, const N: usize> {
    request: Request<'r, K, R, B, PAGES, N>,
    /// Whoever has it does not wait for pages.
    context: PhantomData<&'cx mut MaySleep<'cx, K>>,
}

impl<'r, K: BounceKernel, R, B, const PAGES: usize, const N: usize> Prepared<'_, 'r, K, R, B, PAGES, N>
where
    R: PageRun<Paging = K::Paging>,
    B: Page<Paging = K::Paging>,
{
    /// Hands the pages over to the device, which the driver tells of [`Submitted::extents`] next.
    #[inline]
    pub fn submit(self) -> Submitted<'r, K, R, B, PAGES, N> {
        // The device sees what was written so far.
        K::Machine::barrier();
        Submitted { request: Some(self.request) }
    }

    /// Gives the segments back.
    pub fn cancel(self) -> Segments<R, N> {
        self.request.segments
    }
}

/// A request that belongs to a device, until it is [completed](Self::complete). Any CPU may do that.
///
/// Dropping it does not stop the device, so that leaks all pages of it, and [`ReserveStats::lost`](super::ReserveStats::lost) says so.
#[must_use = "the pages of a request that is not completed are lost"]
pub struct Submitted<'r, K: BounceKernel, R, B, const PAGES: usize, const N: usize> {
    /// Until it is completed.
    request: Option<Request<'r, K, R, B, PAGES, N>>,
}

impl<K: BounceKernel, R, B, const PAGES: usize, const N: usize> Drop for Submitted<'_, K, R, B, PAGES, N> {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            let (reserve, lost) = (request.taken.reserve, request.taken.pages.iter().flatten().count());
            mem::forget(request);
            reserve.lose(lost);
        }
    }
}

impl<K, R, B, const PAGES: usize, const N: usize> Submitted<'_, K, R, B, PAGES, N>
where
    K: BounceKernel,
    R: PageRun<Paging = K::Paging>,
    B: Page<Paging = K::Paging>,
{
    /// Where the bytes are for the device, in order: all of them within its reach, and each at the offset that it has in its own page.
    pub fn extents(&self) -> impl Iterator<Item = Extent> {
        self.request.iter().flat_map(Request::extents)
    }

    /// Where the bytes go.
    pub fn direction(&self) -> Option<Direction> {
        self.request.as_ref().map(|request| request.direction)
    }

    /// The device has moved so many bytes, or has failed, and is done. Of a read, what came is copied to where it belongs, and no more; a
    /// request has no more bytes than it has, whatever the device says. After an error nothing is copied, but what the device reached by
    /// itself may be there. Then the pages go back to the reserve, and whoever waits for them is woken.
    ///
    /// Does not compile with the slot of a context in which interrupts are on: a handler would overwrite the mapping. Linux:
    /// `bounce_end_io_read()`, which uses `KM_BOUNCE_READ`.
    ///
    /// # Safety
    /// The device does not access any of the [extents](Self::extents) from now on: it has said that it is done with all of them, or was stopped.
    pub unsafe fn complete<S, E>(mut self, mut slot: Slot<'_, K, S>, outcome: Result<usize, E>) -> Completed<R, E, N>
    where
        S: KmType<Set = K::KmTypes>,
    {
        const { check_interrupts_off::<S>() };
        let Some(mut request) = self.request.take() else { unreachable!("a request is completed once") };
        // The bytes that the device wrote are read behind this.
        K::Machine::barrier();
        let result = outcome.map(|came| cmp::min(came, request.segments.bytes()));
        if let (Direction::Read, Ok(came)) = (request.direction, &result) {
            for number in 0..request.count_bounced() {
                // SAFETY: I6: the device is done, as the caller says, and only `read` and `try_read` make requests of this direction: for
                // pages that may be written.
                unsafe { request.copy_back(number, slot.reborrow(), *came) };
            }
        }
        let Request { segments, taken, .. } = request;
        drop(taken);
        Completed { segments, result }
    }
}

/// What comes back to the caller.
#[derive(Debug)]
pub struct Completed<R, E, const N: usize> {
    /// The pages.
    pub segments: Segments<R, N>,
    /// How many bytes were moved, the first of all; or what the device said.
    pub result: Result<usize, E>,
}

#[track_caller]
const fn check_interrupts_off<S: KmType>() {
    assert!(
        matches!(S::GROUP, Group::InterruptsOff),
        "a request is completed with interrupts off: use a slot of an interrupt handler, such as `bounce_read`"
    );
}

#[track_caller]
const fn check_no_nmi<S: KmType>() {
    assert!(!matches!(S::GROUP, Group::InNmi), "a non-maskable interrupt must not wait for the lock of a reserve");
}
