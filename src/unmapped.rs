//! Pages that are used as if they had an address.
//!
//! In C, `page_address(page)` and `sg_virt(sg)` give the address of a page, and nothing for one in high memory. Who tested with less than
//! 896 MiB never saw it: drivers copied by way of it for twenty years.
//!
//! The rule (I4): bytes are borrowed from a mapping. A page that is not mapped has none, wherever it lies.
//!
//! The types say it, and this is for how the compiler says it: that a page cannot be indexed, and has no method `address`, would be true, and
//! of no help to those who come from C. So pages have both, for what [`HasAddress`], and no page does.

use core::ops::Index;
use core::slice::SliceIndex;

use crate::ops::{FrameRun, PageRun, Segment, SharedFrameRun};
use crate::page::{Frame, SharedFrame};
use crate::paging::Paging;

/// What has an address. No page has one before it is mapped: nothing implements this.
#[diagnostic::on_unimplemented(
    message = "a page has no address, and no bytes, before it is mapped",
    label = "this needs the guard of a mapping",
    note = "map the page, and use the guard: `let bytes = kmap_atomic(slots.user0, &page);`, with `&mut page` to write",
    note = "for a copy, there are `memcpy_from_page`, `memcpy_to_page`, and for lists `sg_copy_to_buffer` and `SgWalk`"
)]
pub trait HasAddress {
    #[doc(hidden)]
    fn nothing_does(&self) -> !;
}

macro_rules! index {
    ($([$($generics:tt)*] $page:ty;)*) => {$(
        impl<$($generics)*, I: HasAddress + SliceIndex<[u8]>> Index<I> for $page {
            type Output = I::Output;

            fn index(&self, index: I) -> &I::Output {
                index.nothing_does()
            }
        }
    )*};
}

index! {
    [M: Paging] Frame<M>;
    [M: Paging] SharedFrame<M>;
    [M: Paging] FrameRun<M>;
    [M: Paging] SharedFrameRun<M>;
    [R: PageRun] Segment<R>;
}

impl<M: Paging> Frame<M> {
    #[doc(hidden)]
    pub fn address(&self) -> usize
    where
        Self: HasAddress,
    {
        self.nothing_does()
    }
}

impl<M: Paging> SharedFrame<M> {
    #[doc(hidden)]
    pub fn address(&self) -> usize
    where
        Self: HasAddress,
    {
        self.nothing_does()
    }
}

impl<R: PageRun> Segment<R> {
    #[doc(hidden)]
    pub fn address(&self) -> usize
    where
        Self: HasAddress,
    {
        self.nothing_does()
    }
}
