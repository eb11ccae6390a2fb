//! Operations on pages that have no address: clear, copy, zero a part. What most code calls, instead of mapping pages itself.
//!
//! In C, each of these is a few lines between map and unmap, and Linux's own were wrong more than once: a length that went past the
//! page wrote into the next slot's page; a copy from a large page advanced the pointer of the wrong side (`memcpy_from_folio`); two
//! mappings were ended in the wrong order (CVE-2025-39899).
//!
//! The rule (I4): an operation stays within the pages that it was given, and says which slots it uses, it and all that it calls.
//!
//! The types say it: the tokens of the slots are arguments, so that it can be used in each context, with the slots of that context;
//! what is written is a page that may be written; and a range that does not fit is an [`Error`], before anything is mapped.
//!
//! The argument that is written comes first, as in Linux and as in `memcpy`. A page may be anything that is memory: with
//! [`SharedFrame`](crate::SharedFrame)s, which others write at the same time, each byte is read once and written once. Two of these may be
//! one frame, as two pages of user space are. A copy of a range to itself leaves it as it is; where the ranges overlap in part, the target
//! gets bytes of the source range, and which is not specified.
//!
//! No bytes at all fit at each offset up to the end of the page, [`PAGE_SIZE`] included.
//!
//! What is longer than a page is a [`PageRun`], a list of [`Segment`]s, or a [`Cursor`] over either.

mod cursor;
mod run;
mod scatter;

use core::fmt;
use core::ops::Range;

use crate::atomic::kmap_atomic;
use crate::copy;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::{Memory, Page, Writable};
use crate::paging::PAGE_SIZE;
use crate::slot::{KmType, Slot};

pub use cursor::Cursor;
pub use run::{
    FrameRun, PageRun, RunError, RunPage, SharedFrameRun, memcpy_from_run, memcpy_run, memcpy_to_run, memset_run,
    memzero_run, run_fill_tail, run_read_obj, run_write_obj, run_zero_tail,
};
pub use scatter::{
    Part, Segment, SgWalk, ToSegment, sg_copy, sg_copy_from_buffer, sg_copy_to_buffer, sg_pcopy_from_buffer,
    sg_pcopy_to_buffer, sg_total_len, sg_zero_buffer,
};

/// Bytes that are not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// `len` bytes from `offset` on are not all within the `size` bytes that there are.
    OutOfBounds {
        /// Where they begin, in bytes from the start.
        offset: usize,
        /// How many they are.
        len: usize,
        /// How many there are.
        size: usize,
    },
    /// `offset` is not a multiple of the `align` that the type has.
    Misaligned {
        /// Where the value begins, in bytes from the start.
        offset: usize,
        /// What the offset would have to be a multiple of.
        align: usize,
    },
    /// A run has only `pages` pages, of which the first has number 0.
    NoSuchPage {
        /// Which was asked for.
        number: usize,
        /// How many there are.
        pages: usize,
    },
    /// A [`Cursor`] is at the end of what can be written.
    NoRoom,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds { offset, len, size } => {
                write!(f, "{len} bytes from offset {offset} on are not within the {size} bytes that there are")
            }
            Self::Misaligned { offset, align } => write!(f, "offset {offset} is not a multiple of {align}"),
            Self::NoSuchPage { number, pages } => write!(f, "there is no page {number}: the run has {pages}"),
            Self::NoRoom => write!(f, "there is no room left to write to"),
        }
    }
}

impl core::error::Error for Error {}

/// Whether `len` bytes from `offset` on are within `size` bytes.
#[inline]
pub(crate) fn check(offset: usize, len: usize, size: usize) -> Result<(), Error> {
    match offset.checked_add(len) {
        Some(end) if end <= size => Ok(()),
        _ => Err(Error::OutOfBounds { offset, len, size }),
    }
}

/// Whoever sees a later store of this CPU sees those before, too. Linux: `smp_wmb()`. This processor's stores are seen in order, those of
/// a string instruction before later ones (SDM vol. 3, 10.2.4), and behind those that are not ordered, [`copy`] has waited: so it is the
/// compiler that has to be told.
#[inline]
fn write_barrier<K: Kernel>() {
    K::Machine::barrier();
}

/// Fills a page with zeros. Linux: `clear_highpage()`.
///
/// ```
/// use highmem::{Frame, Kernel, ops::clear_highpage, linux::Set};
///
/// fn fresh<K: Kernel<KmTypes = Set>>(task: &mut highmem::Task<'_, K>, page: &mut Frame<K::Paging>) {
///     clear_highpage(task.atomic().slots().user0, page);
/// }
/// ```
#[inline]
#[track_caller]
pub fn clear_highpage<K, S, P>(slot: Slot<'_, K, S>, page: P)
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory + Writable>,
{
    let to = kmap_atomic(slot, page);
    // SAFETY: I4, I6: the whole page, mapped writable until `to` is dropped.
    unsafe { copy::fill(K::copy_by(), to.start(), 0, PAGE_SIZE) };
}

/// As [`clear_highpage`], before a page becomes visible to user space: whoever sees a later store of this CPU, such as that of the
/// page-table entry, sees the zeros. Linux: `clear_user_highpage()`, which is told the user's address for caches that x86 does not have.
#[inline]
#[track_caller]
pub fn clear_user_highpage<K, S, P>(slot: Slot<'_, K, S>, page: P)
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory + Writable>,
{
    clear_highpage(slot, page);
    write_barrier::<K>();
}

/// Copies a page to another. Linux: `copy_highpage()`.
///
/// ```
/// use highmem::{Frame, Kernel, Task, ops::copy_highpage, linux::Set};
///
/// fn duplicate<K: Kernel<KmTypes = Set>>(task: &mut Task<'_, K>, to: &mut Frame<K::Paging>, from: &Frame<K::Paging>) {
///     let mut atomic = task.atomic();
///     let slots = atomic.slots();
///     copy_highpage(slots.user1, to, slots.user0, from);
/// }
/// ```
#[inline]
#[track_caller]
pub fn copy_highpage<K, T, S, P, Q>(to_slot: Slot<'_, K, T>, to: P, from_slot: Slot<'_, K, S>, from: Q)
where
    K: Kernel,
    T: KmType<Set = K::KmTypes>,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory + Writable>,
    Q: Page<Paging = K::Paging, Access: Memory>,
{
    let mut from = kmap_atomic(from_slot, from);
    let to = kmap_atomic(to_slot, to);
    // SAFETY: I4, I6: two whole pages, mapped until the guards are dropped, the first of them writable. I3: the copy gives the source's
    // address back.
    unsafe {
        let start = copy::copy_page(K::copy_by(), to.start(), from.start());
        from.known_as(start);
    }
}

/// As [`copy_highpage`], before the copy becomes visible to user space: whoever sees a later store of this CPU, such as that of the
/// page-table entry, sees the whole copy. Linux: `copy_user_highpage()`, as [`clear_user_highpage`].
#[inline]
#[track_caller]
pub fn copy_user_highpage<K, T, S, P, Q>(to_slot: Slot<'_, K, T>, to: P, from_slot: Slot<'_, K, S>, from: Q)
where
    K: Kernel,
    T: KmType<Set = K::KmTypes>,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory + Writable>,
    Q: Page<Paging = K::Paging, Access: Memory>,
{
    copy_highpage(to_slot, to, from_slot, from);
    write_barrier::<K>();
}

/// As [`copy_highpage`], from memory that may be broken: gives how many bytes at the end were not copied, 0 if the page was whole. What
/// the target has there, it had before. Linux: `copy_mc_highpage()`.
///
/// Only a kernel with [`Kernel::copy_mc`] of its own survives broken memory.
#[inline]
#[track_caller]
#[must_use = "bytes that are left are those of a page whose memory is broken"]
pub fn copy_mc_highpage<K, T, S, P, Q>(to_slot: Slot<'_, K, T>, to: P, from_slot: Slot<'_, K, S>, from: Q) -> usize
where
    K: Kernel,
    T: KmType<Set = K::KmTypes>,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory + Writable>,
    Q: Page<Paging = K::Paging, Access: Memory>,
{
    let from = kmap_atomic(from_slot, from);
    let to = kmap_atomic(to_slot, to);
    // SAFETY: I4, I6: two whole pages, mapped until the guards are dropped, the first of them writable. They are two, or both are memory
    // that others may write, and one.
    unsafe { K::copy_mc(to.start(), from.start(), PAGE_SIZE) }
}

/// As [`copy_mc_highpage`], before the copy becomes visible to user space, as [`copy_user_highpage`]. Linux: `copy_mc_user_highpage()`.
#[inline]
#[track_caller]
#[must_use = "bytes that are left are those of a page whose memory is broken"]
pub fn copy_mc_user_highpage<K, T, S, P, Q>(to_slot: Slot<'_, K, T>, to: P, from_slot: Slot<'_, K, S>, from: Q) -> usize
where
    K: Kernel,
    T: KmType<Set = K::KmTypes>,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory + Writable>,
    Q: Page<Paging = K::Paging, Access: Memory>,
{
    let left = copy_mc_highpage(to_slot, to, from_slot, from);
    write_barrier::<K>();
    left
}

/// Copies `len` bytes from one page to another. Linux: `memcpy_page()`.
///
/// # Errors
/// When either range goes past the end of its page; then nothing is copied.
#[inline]
#[track_caller]
pub fn memcpy_page<K, T, S, P, Q>(
    to_slot: Slot<'_, K, T>,
    (to, to_offset): (P, usize),
    from_slot: Slot<'_, K, S>,
    (from, from_offset): (Q, usize),
    len: usize,
) -> Result<(), Error>
where
    K: Kernel,
    T: KmType<Set = K::KmTypes>,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory + Writable>,
    Q: Page<Paging = K::Paging, Access: Memory>,
{
    check(to_offset, len, PAGE_SIZE)?;
    check(from_offset, len, PAGE_SIZE)?;
    let from = kmap_atomic(from_slot, from);
    let to = kmap_atomic(to_slot, to);
    // SAFETY: I4, I6: both within their pages, which are mapped until the guards are dropped, the first of them writable.
    unsafe {
        copy::copy(K::copy_by(), to.start().wrapping_add(to_offset), from.start().wrapping_add(from_offset), len)
    };
    Ok(())
}

/// Copies `to.len()` bytes from `offset` on out of a page. Linux: `memcpy_from_page()`.
///
/// # Errors
/// When they go past the end of the page; then nothing is copied.
#[inline]
#[track_caller]
pub fn memcpy_from_page<K, S, P>(to: &mut [u8], slot: Slot<'_, K, S>, page: P, offset: usize) -> Result<(), Error>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory>,
{
    check(offset, to.len(), PAGE_SIZE)?;
    let from = kmap_atomic(slot, page);
    // SAFETY: I4, I6: within the page, which is mapped until `from` is dropped.
    unsafe { copy::copy(K::copy_by(), to.as_mut_ptr(), from.start().wrapping_add(offset), to.len()) };
    Ok(())
}

/// Copies `from` into a page, to `offset` and what follows. Linux: `memcpy_to_page()`.
///
/// # Errors
/// When it would go past the end of the page; then nothing is copied.
#[inline]
#[track_caller]
pub fn memcpy_to_page<K, S, P>(slot: Slot<'_, K, S>, page: P, offset: usize, from: &[u8]) -> Result<(), Error>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory + Writable>,
{
    check(offset, from.len(), PAGE_SIZE)?;
    let to = kmap_atomic(slot, page);
    // SAFETY: I4, I6: within the page, which is mapped writable until `to` is dropped.
    unsafe { copy::copy(K::copy_by(), to.start().wrapping_add(offset), from.as_ptr(), from.len()) };
    Ok(())
}

/// Writes `byte` to `len` bytes of a page, from `offset` on. Linux: `memset_page()`.
///
/// # Errors
/// When they go past the end of the page; then nothing is written.
#[inline]
#[track_caller]
pub fn memset_page<K, S, P>(slot: Slot<'_, K, S>, page: P, offset: usize, byte: u8, len: usize) -> Result<(), Error>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory + Writable>,
{
    check(offset, len, PAGE_SIZE)?;
    let to = kmap_atomic(slot, page);
    // SAFETY: I4, I6: within the page, which is mapped writable until `to` is dropped.
    unsafe { copy::fill(K::copy_by(), to.start().wrapping_add(offset), byte, len) };
    Ok(())
}

/// Zeroes `len` bytes of a page, from `offset` on. Linux: `memzero_page()`.
///
/// # Errors
/// As [`memset_page`].
#[inline]
#[track_caller]
pub fn memzero_page<K, S, P>(slot: Slot<'_, K, S>, page: P, offset: usize, len: usize) -> Result<(), Error>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory + Writable>,
{
    memset_page(slot, page, offset, 0, len)
}

/// Zeroes two parts of a page under one mapping: what is before and what is behind the bytes that are to be written. Linux:
/// `zero_user_segments()`, and with an empty second part `zero_user()`.
///
/// A range whose end is not behind its start is empty, as [`Range::is_empty`] says.
///
/// # Errors
/// When a range begins or ends past the end of the page; then nothing is written.
#[inline]
#[track_caller]
pub fn zero_user_segments<K, S, P>(
    slot: Slot<'_, K, S>,
    page: P,
    first: Range<usize>,
    second: Range<usize>,
) -> Result<(), Error>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    P: Page<Paging = K::Paging, Access: Memory + Writable>,
{
    let parts = [first, second].map(|part| (part.start, part.end.saturating_sub(part.start)));
    for (start, len) in parts {
        check(start, len, PAGE_SIZE)?;
    }
    let to = kmap_atomic(slot, page);
    for (start, len) in parts {
        // SAFETY: I4, I6: within the page, which is mapped writable until `to` is dropped.
        unsafe { copy::fill(K::copy_by(), to.start().wrapping_add(start), 0, len) };
    }
    Ok(())
}

#[cfg(test)]
mod tests;
