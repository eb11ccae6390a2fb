//! Cursors: a run, or a scatter list, as a stream of bytes that is read and written piece by piece.
//!
//! In C, whoever parses what lies in many pages keeps a pointer, adds to it, and has to notice when it leaves the page: then to unmap what
//! was mapped, which is no longer what the pointer says, and to map the next. Bytes were read behind the page, the advanced pointer was
//! unmapped, and who found the end of the data early left the last page mapped (`skb_seq_read`).
//!
//! The rule (I3, I4): a cursor has its place, not an address. The page of that place stays mapped from one call to the next, so that small
//! reads are cheap, and is unmapped when the cursor leaves it, or goes.
//!
//! The types say it: a [`Cursor`] owns the token of its slot, and borrows the context: nothing sleeps while it lives. The bytes that it
//! lends are borrowed from it, so that they are gone before it moves on.
//!
//! It implements the traits of [`embedded_io`], which drivers and parsers without `std` are written for: `Read`; `BufRead` where
//! the bytes may be references, and `Write` where they may be written. There is no way back: `Seek` would need a list that can be
//! walked twice.

use core::iter;

use embedded_io::{BufRead, ErrorKind, ErrorType, Read, Write};

use super::Error;
use super::run::PageRun;
use super::scatter::{Segment, ToSegment, Walk};
use crate::kernel::Kernel;
use crate::page::{Memory, Referenced, Writable};
use crate::slot::{KmType, Slot};

/// Reads and writes a scatter list, or a run, from its first byte to its last.
///
/// ```
/// use embedded_io::Read;
/// use highmem::{FrameRun, Kernel, Task, linux::Set, ops::{Cursor, Error, Segment}};
///
/// /// The records of a file: for each its length, and so many bytes.
/// fn records<K: Kernel<KmTypes = Set>>(
///     task: &mut Task<'_, K>,
///     file: &[Segment<FrameRun<K::Paging>>],
/// ) -> Result<usize, embedded_io::ReadExactError<Error>> {
///     let mut atomic = task.atomic();
///     let mut cursor = Cursor::new(atomic.slots().user0, file);
///     let (mut count, mut len) = (0, [0; 2]);
///     while cursor.read(&mut len[..1])? == 1 {
///         cursor.read_exact(&mut len[1..])?;
///         cursor.skip(u16::from_le_bytes(len).into());
///         count += 1;
///     }
///     Ok(count)
/// }
/// ```
#[must_use = "it does nothing until it is read or written"]
pub struct Cursor<'cx, K, S, I>(Walk<'cx, K, S, I>)
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    I: Iterator<Item: ToSegment<Run: PageRun<Paging = K::Paging>>>;

impl<'cx, K, S, R> Cursor<'cx, K, S, iter::Once<Segment<R>>>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    R: PageRun<Paging = K::Paging, Access: Memory>,
{
    /// Begins at the first byte of a run. Nothing is mapped yet.
    #[inline]
    pub fn over(slot: Slot<'cx, K, S>, run: R) -> Self {
        Self::new(slot, iter::once(Segment::whole(run)))
    }
}

impl<'cx, K, S, I> Cursor<'cx, K, S, I>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    I: Iterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory>>>,
{
    /// Begins at the first byte of a list. Nothing is mapped yet.
    #[inline]
    pub fn new(slot: Slot<'cx, K, S>, list: impl IntoIterator<IntoIter = I>) -> Self {
        Self(Walk::new(slot, list.into_iter()))
    }

    /// Leaves out as many bytes as there are, but not more than `len`, and says how many. Maps nothing.
    #[inline]
    pub fn skip(&mut self, len: usize) -> usize {
        self.0.skip(len)
    }
}

impl<K, S, I> ErrorType for Cursor<'_, K, S, I>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    I: Iterator<Item: ToSegment<Run: PageRun<Paging = K::Paging>>>,
{
    type Error = Error;
}

/// Reads as many bytes as there are, over all pages that it takes; 0 at the end.
impl<K, S, I> Read for Cursor<'_, K, S, I>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    I: Iterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory>>>,
{
    #[inline]
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        Ok(self.0.read(buffer))
    }
}

/// Lends the bytes that are left in the page.
impl<K, S, I> BufRead for Cursor<'_, K, S, I>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    I: Iterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory + Referenced>>>,
{
    #[inline]
    #[track_caller]
    fn fill_buf(&mut self) -> Result<&[u8], Error> {
        Ok(self.0.bytes())
    }

    /// # Panics
    /// If `amt` is more than what `fill_buf` lent.
    #[inline]
    fn consume(&mut self, amt: usize) {
        self.0.advance(amt);
    }
}

/// Writes as many bytes as there is room for, over all pages that it takes; [`Error::NoRoom`] at the end.
impl<K, S, I> Write for Cursor<'_, K, S, I>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
    I: Iterator<Item: ToSegment<Run: PageRun<Paging = K::Paging, Access: Memory + Writable>>>,
{
    #[inline]
    #[track_caller]
    fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        match self.0.write(data) {
            0 if !data.is_empty() => Err(Error::NoRoom),
            written => Ok(written),
        }
    }

    /// Nothing waits to be written.
    #[inline]
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl embedded_io::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoRoom => ErrorKind::WriteZero,
            _ => ErrorKind::InvalidInput,
        }
    }
}
