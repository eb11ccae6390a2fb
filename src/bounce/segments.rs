//! What a request moves: segments, page part by page part.

use core::{cmp, fmt};

use super::page_of;
use crate::ops::{PageRun, Segment};
use crate::paging::{PAGE_SHIFT, PAGE_SIZE};

/// The segments of a request: as many as have at the most `N` parts of pages together. An empty segment counts as one.
///
/// `N` is what the device takes, and how many bounce pages a request can need.
pub struct Segments<R, const N: usize> {
    list: [Option<Segment<R>>; N],
    /// How many segments there are, and parts of pages.
    segments: usize,
    parts: usize,
}

/// A part of a page of a segment.
pub(super) struct Piece {
    /// Which segment.
    pub segment: usize,
    /// Which page of its run.
    pub page: usize,
    /// Where it begins, in bytes from the start of the page.
    pub offset: usize,
    /// How many bytes it has.
    pub len: usize,
    /// The number of the page's frame.
    pub frame: u64,
}

impl Piece {
    /// The physical address of the first byte.
    pub fn address(&self) -> u64 {
        (self.frame << PAGE_SHIFT) + self.offset as u64
    }
}

impl<R: PageRun, const N: usize> Segments<R, N> {
    /// None.
    pub const fn new() -> Self {
        Self { list: [const { None }; N], segments: 0, parts: 0 }
    }

    /// Puts a segment last.
    ///
    /// # Errors
    /// When there is no room for its parts. It comes back.
    pub fn push(&mut self, segment: Segment<R>) -> Result<(), TooMany<R>> {
        let parts = cmp::max(pages_of(&segment).len(), 1);
        match self.list.get_mut(self.segments) {
            Some(place) if parts <= N - self.parts => *place = Some(segment),
            _ => return Err(TooMany { segment, parts, room: N - self.parts }),
        }
        self.segments += 1;
        self.parts += parts;
        Ok(())
    }

    /// How many bytes there are.
    pub fn bytes(&self) -> usize {
        self.pieces().map(|piece| piece.len).sum()
    }

    /// The segments, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Segment<R>> {
        self.list.iter().flatten()
    }

    /// The parts, in order: `N` at the most.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece> + use<'_, R, N> {
        self.list.iter().flatten().enumerate().flat_map(|(number, segment)| {
            let end = segment.offset() + segment.len();
            pages_of(segment).map(move |page| {
                let from = cmp::max(segment.offset(), page * PAGE_SIZE);
                let len = cmp::min(end, (page + 1) * PAGE_SIZE) - from;
                let frame = page_of(segment, from);
                Piece { segment: number, page, offset: from % PAGE_SIZE, len, frame }
            })
        })
    }

    /// The run of a piece.
    pub(super) fn run_mut(&mut self, piece: &Piece) -> Option<&mut R> {
        self.list.get_mut(piece.segment)?.as_mut().map(Segment::run_mut)
    }
}

/// The pages of its run that a segment has bytes of.
fn pages_of<R: PageRun>(segment: &Segment<R>) -> core::ops::Range<usize> {
    match segment.len() {
        0 => 0..0,
        len => segment.offset() / PAGE_SIZE..(segment.offset() + len).div_ceil(PAGE_SIZE),
    }
}

impl<R: PageRun, const N: usize> Default for Segments<R, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R, const N: usize> IntoIterator for Segments<R, N> {
    type Item = Segment<R>;
    type IntoIter = core::iter::Flatten<core::array::IntoIter<Option<Segment<R>>, N>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter().flatten()
    }
}

impl<R, const N: usize> fmt::Debug for Segments<R, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segments").field("segments", &self.segments).field("parts", &self.parts).finish_non_exhaustive()
    }
}

/// A segment for which a request has no room. It comes back.
pub struct TooMany<R> {
    /// The segment.
    pub segment: Segment<R>,
    parts: usize,
    room: usize,
}

impl<R> fmt::Display for TooMany<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a segment has {} parts of pages, and the request has room for {}", self.parts, self.room)
    }
}

impl<R> fmt::Debug for TooMany<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TooMany {{ parts: {}, room: {} }}", self.parts, self.room)
    }
}

impl<R> core::error::Error for TooMany<R> {}
