//! Changes of an address space: map, unmap, protect, split.

use core::ops::Range;

use super::entry::Leaf;
use super::flush::{Cpus, MustFlush};
use super::space::{AddressSpace, Found};
use super::table::Table;
use super::walk::{Each, Stop};
use super::{Corrupt, Error, Pages, TableFrame, TableSource, check_frame};
use crate::kernel::{Kernel, PageTableKernel};
use crate::page::Pfn;
use crate::paging::{Content, Flags, Layout, PAGE_SIZE, PageSize, Paging};
use crate::slot::{KmType, Slot};

/// The most levels below the top: so many tables an entry can need anew.
const MOST: usize = 4;

/// The right to change what an address space maps: with two slots, and a source of tables.
///
/// Each operation is done as a whole, or not at all.
pub struct Editor<'e, 'cx, K: Kernel, F, S, T, A> {
    pub(super) space: &'e mut AddressSpace<K, F>,
    pub(super) slot: Slot<'cx, K, S>,
    pub(super) second_slot: Slot<'cx, K, T>,
    pub(super) source: &'e mut A,
}

/// Frames that are to be tables. Those that are not when it is dropped go back.
struct Taken<'s, A: TableSource> {
    source: &'s mut A,
    frames: [Option<A::Frame>; MOST],
}

impl<'s, A: TableSource> Taken<'s, A> {
    /// So many.
    fn take(source: &'s mut A, count: usize) -> Result<Self, Error> {
        let mut taken = Self { source, frames: [const { None }; MOST] };
        for place in &mut taken.frames[..count] {
            *place = Some(taken.source.take().ok_or(Error::NoFrame)?);
        }
        Ok(taken)
    }

    /// One of them, which is a table from now on.
    fn link(&mut self) -> Option<Pfn<<A::Frame as TableFrame>::Paging>> {
        self.frames.iter_mut().find_map(Option::take).map(TableFrame::into_pfn)
    }
}

impl<A: TableSource> Drop for Taken<'_, A> {
    fn drop(&mut self) {
        for frame in self.frames.iter_mut().filter_map(Option::take) {
            self.source.give_back(frame);
        }
    }
}

impl<K, F, S, T, A> Editor<'_, '_, K, F, S, T, A>
where
    K: PageTableKernel,
    F: TableFrame<Paging = K::Paging>,
    S: KmType<Set = K::KmTypes>,
    T: KmType<Set = K::KmTypes>,
    A: TableSource<Frame = F>,
{
    /// As [`AddressSpace::translate`].
    ///
    /// # Errors
    /// As [`AddressSpace::translate`].
    #[track_caller]
    pub fn translate(&mut self, address: usize) -> Result<Option<Leaf<K::Paging>>, Error> {
        self.space.translate(self.slot.reborrow(), address)
    }

    /// Maps a page of this size at `address`, which was empty: it begins at frame `pfn`. Tables that are needed come from the source, and the
    /// entry that makes them all seen is written last. Linux: `set_pte_at()`, with `pte_alloc()` before.
    ///
    /// There is something to flush only where a top-level entry of PAE is new: CPUs have loaded these with CR3.
    ///
    /// # Errors
    /// When something is mapped there, when address or frame are none of such a page, when the source has no frame, or when an entry on the way
    /// is corrupt.
    ///
    /// # Safety
    /// Whoever uses the address space may access the frames, as the flags say, until the flush of their unmapping: they stay allocated, and
    /// nobody has a Rust reference into them that such an access contradicts, unless it is by this very address. Nobody has a reference to what
    /// [`unmap`](Self::unmap) and [`restrict`](Self::restrict) can take away there. Memory types do not contradict others' mappings of the frames.
    #[track_caller]
    pub unsafe fn map(
        &mut self,
        address: usize,
        pfn: Pfn<K::Paging>,
        size: PageSize,
        flags: Flags,
    ) -> Result<MustFlush<K, F>, Error> {
        check_frame(self.space.layout, pfn, size)?;
        let count = size.pages::<K::Paging>();
        if !address.is_multiple_of(count * PAGE_SIZE) {
            return Err(Error::Misaligned { address, align: count * PAGE_SIZE });
        }
        let page = self.space.pages_of(Pages { start: address, count })?.start;
        self.fill(page, &[pfn], size, flags)
    }

    /// Maps these frames at `address` and what follows, all of which was empty: as [`map`](Self::map) does one after the other, but each table
    /// is mapped once. They are pages of one page table: 512 from a multiple of 2 MiB on, without PAE 1024 from a multiple of 4 MiB on. Linux:
    /// `set_ptes()`.
    ///
    /// # Errors
    /// As [`map`](Self::map), and [`Error::AcrossTables`] when they are not.
    ///
    /// # Safety
    /// As [`map`](Self::map).
    #[track_caller]
    pub unsafe fn map_pages(
        &mut self,
        address: usize,
        frames: &[Pfn<K::Paging>],
        flags: Flags,
    ) -> Result<MustFlush<K, F>, Error> {
        let size = PageSize::Small;
        frames.iter().try_for_each(|&pfn| check_frame(self.space.layout, pfn, size))?;
        let pages = self.space.pages_of(Pages { start: address, count: frames.len() })?;
        if Layout::<K::Paging>::index(1, pages.start) + frames.len() > K::Paging::ENTRIES_PER_TABLE {
            return Err(Error::AcrossTables { address });
        }
        if frames.is_empty() {
            return Ok(MustFlush::nothing());
        }
        self.fill(pages.start, frames, size, flags)
    }

    /// Fills entries of one table, from that of `page` on, which are empty.
    #[track_caller]
    fn fill(
        &mut self,
        page: usize,
        frames: &[Pfn<K::Paging>],
        size: PageSize,
        flags: Flags,
    ) -> Result<MustFlush<K, F>, Error> {
        type Of<K> = Layout<<K as Kernel>::Paging>;
        let layout = self.space.layout;
        let Found { table, place, .. } = self.space.find(self.slot.reborrow(), page, size.level())?;
        let index = Of::<K>::index(place.level, page);
        // Each of them if they are here; or the one that leads on to them.
        let looked_at = if place.level == size.level() { frames.len() } else { 1 };
        let pages = (0..looked_at).map(|number| page + number * size.pages::<K::Paging>());
        for (index, page) in (index..).zip(pages) {
            let place = self.space.place(place.level, page);
            match place.content::<K>(table.load(index))? {
                Content::Maps(..) => {
                    let size = PageSize::of_level(place.level);
                    return Err(Error::AlreadyMapped { address: place.address(), size });
                }
                Content::Table(..) => return Err(Error::TableInTheWay { address: place.address() }),
                Content::Nothing => {}
            }
        }

        let entries = frames.iter().map(|&pfn| layout.entry(size, pfn, flags, K::no_execute()));
        let mut taken = Taken::take(self.source, place.level - size.level())?;
        // From below: each has the entries that lead on, before anything leads to it.
        let mut below = None;
        for level in size.level()..place.level {
            let Some(pfn) = taken.link() else { unreachable!("there are as many as levels") };
            let new = Table::<K, T>::map(self.second_slot.reborrow(), pfn);
            new.clear();
            let index = Of::<K>::index(level, page);
            match below {
                None => (index..).zip(entries.clone()).for_each(|(index, entry)| new.write(index, entry)),
                Some(below) => new.write(index, layout.table(level, below)),
            }
            below = Some(pfn);
        }
        // What was stored to them comes first, for page walkers as well (SDM vol. 3, 10.2.2).
        match below {
            None => (index..).zip(entries).for_each(|(index, entry)| table.replace(index, entry)),
            Some(below) => table.replace(index, layout.table(place.level, below)),
        }

        let mut flush = MustFlush::nothing();
        if layout.is_loaded_with_cr3(place.level) {
            flush.scope.add_all(Cpus::OfSpace(self.space.root));
        }
        Ok(flush)
    }

    /// Unmaps whatever is mapped of these pages, and shows `gone` what it was, with all bits that the processor set until then; an entry that was
    /// corrupt is gone as well. Tables that are empty then are taken out, to be freed behind the flush. Linux: `zap_page_range()`,
    /// `free_pgtables()`.
    ///
    /// The frames are in use until the flush.
    ///
    /// # Errors
    /// When the range is none of the space; when an entry that should refer to a table is corrupt; or when a large page is to be split, and the
    /// source has no frame for that.
    #[track_caller]
    pub fn unmap(
        &mut self,
        pages: Pages,
        mut gone: impl FnMut(Result<Leaf<K::Paging>, Corrupt>),
    ) -> Result<MustFlush<K, F>, Error> {
        self.change(pages, true, |pte| pte.take().into_iter().for_each(&mut gone))
    }

    /// Takes rights away of each page that is mapped in this range: those that the flags have not which `flags` makes of what is mapped. Nothing
    /// is added. Linux: `change_protection()`, towards less; copy on write begins so.
    ///
    /// `flags` can be asked twice about a page, if the processor sets a bit at the same time.
    ///
    /// # Errors
    /// As [`unmap`](Self::unmap). An entry of a page that is corrupt is no error: nobody can use it, and it stays as it is.
    #[track_caller]
    pub fn restrict(
        &mut self,
        pages: Pages,
        mut flags: impl FnMut(Leaf<K::Paging>) -> Flags,
    ) -> Result<MustFlush<K, F>, Error> {
        self.change(pages, false, |pte| {
            pte.update(|leaf| leaf.flags.limited_by(flags(leaf)));
        })
    }

    /// Gives each page that is mapped in this range the flags that `flags` makes of what is mapped. The bits of the processor stay as it has set
    /// them. Linux: `change_protection()`.
    ///
    /// `flags` can be asked twice about a page, if the processor sets a bit at the same time.
    ///
    /// # Errors
    /// As [`restrict`](Self::restrict).
    ///
    /// # Safety
    /// As [`map`](Self::map), with these flags.
    #[track_caller]
    pub unsafe fn protect(
        &mut self,
        pages: Pages,
        mut flags: impl FnMut(Leaf<K::Paging>) -> Flags,
    ) -> Result<MustFlush<K, F>, Error> {
        self.change(pages, false, |pte| {
            pte.update(|leaf| flags(leaf).as_used(leaf.flags));
        })
    }

    /// Splits large pages that are in this range in part, so that none is: what is mapped is the same.
    ///
    /// # Errors
    /// As [`unmap`](Self::unmap).
    #[track_caller]
    pub fn split(&mut self, pages: Pages) -> Result<MustFlush<K, F>, Error> {
        let numbers = self.space.pages_of(pages)?;
        let mut flush = MustFlush::nothing();
        match self.split_ends(numbers, &mut flush) {
            Ok(()) => Ok(flush),
            Err(error) => Err(error),
        }
    }

    /// Flushes, as [`MustFlush::flush`], with this editor's slot and source.
    #[track_caller]
    pub fn flush(&mut self, flush: MustFlush<K, F>) {
        flush.flush(self.slot.reborrow(), self.source);
    }

    /// Flushes two obligations together.
    #[track_caller]
    pub fn flush_both(&mut self, one: MustFlush<K, F>, other: MustFlush<K, F>) {
        let both = one.merge(self.slot.reborrow(), other);
        self.flush(both);
    }

    #[track_caller]
    fn change(
        &mut self,
        pages: Pages,
        frees: bool,
        mut change: impl FnMut(&mut super::Pte<'_, K>),
    ) -> Result<MustFlush<K, F>, Error> {
        let pages = self.space.pages_of(pages)?;
        let mut flush = MustFlush::nothing();
        let mut run = |this: &mut Self, flush: &mut MustFlush<K, F>| {
            let each = Each::new(this.space, flush, &mut change).changing(frees);
            each.run(this.slot.reborrow(), this.second_slot.reborrow(), pages.clone())
        };
        let done = match run(self, &mut flush) {
            Err(Stop::Split) => match self.split_ends(pages.clone(), &mut flush) {
                Ok(()) => run(self, &mut flush),
                Err(error) => Err(error.into()),
            },
            done => done,
        };
        match done {
            Ok(()) => Ok(flush),
            Err(stop) => Err(stop.expect_error()),
        }
    }

    /// Splits the large pages in which a range begins and ends.
    fn split_ends(&mut self, pages: Range<usize>, flush: &mut MustFlush<K, F>) -> Result<(), Error> {
        type Of<K> = Layout<<K as Kernel>::Paging>;
        if pages.is_empty() {
            return Ok(());
        }
        // An error later on would leave it split.
        let levels = self.space.layout.levels();
        let each = Each::new(self.space, flush, |_: &mut super::Pte<'_, K>| ());
        each.check(self.slot.reborrow(), self.space.root, levels, pages.clone()).map_err(Stop::expect_error)?;

        // The pages to split, from above: both ends may be in one.
        let mut splits = [const { None }; MOST];
        let mut count = 0;
        for (end, page) in [(pages.start, pages.start), (pages.end, pages.end - 1)] {
            let Found { table, place, .. } = self.space.find(self.slot.reborrow(), page, 1)?;
            let index = Of::<K>::index(place.level, page);
            if !matches!(place.content::<K>(table.load(index)), Ok(Content::Maps(..))) {
                continue;
            }
            for level in (2..=place.level).rev() {
                let shift = Of::<K>::shift(level);
                let split = Some((level, page >> shift << shift));
                if end.trailing_zeros() < shift && !splits[..count].contains(&split) {
                    splits[count] = split;
                    count += 1;
                }
            }
        }
        let mut taken = Taken::take(self.source, count)?;
        for (level, page) in splits.into_iter().flatten() {
            let Some(pfn) = taken.link() else { unreachable!("there are as many as splits") };
            let Found { table, place, .. } = self.space.find(self.slot.reborrow(), page, level)?;
            let new = Table::<K, T>::map(self.second_slot.reborrow(), pfn);
            let index = Of::<K>::index(level, page);
            let mut current = table.load(index);
            // The processor may set a bit meanwhile, which belongs to each of the parts then.
            loop {
                let Ok(Content::Maps(first, flags)) = place.content::<K>(current) else {
                    unreachable!("only this editor changes what is mapped")
                };
                self.space.fill_split(&new, level, first, flags);
                match table.exchange(index, current, self.space.layout.table(level, pfn)) {
                    Ok(()) => break,
                    Err(now) => current = now,
                }
            }
            drop(new);
            let is_global =
                matches!(place.content::<K>(current), Ok(Content::Maps(_, flags)) if flags.contains(Flags::GLOBAL));
            let cpus = if is_global { Cpus::All } else { Cpus::OfSpace(self.space.root) };
            let count = PageSize::of_level(level).pages::<K::Paging>();
            flush.scope.add(cpus, Pages { start: place.address(), count });
        }
        Ok(())
    }
}

impl<K: PageTableKernel, F: TableFrame<Paging = K::Paging>> AddressSpace<K, F> {
    /// Fills a new table with the parts of a large page of this level.
    fn fill_split<T>(&self, new: &Table<'_, '_, K, T>, level: usize, first: Pfn<K::Paging>, flags: Flags)
    where
        T: KmType<Set = K::KmTypes>,
    {
        let size = PageSize::of_level(level - 1);
        for index in 0..K::Paging::ENTRIES_PER_TABLE {
            let number = first.number() + index * size.pages::<K::Paging>();
            let Ok(pfn) = Pfn::new(number as u64) else { unreachable!("the large page has these frames") };
            new.write(index, self.layout.entry(size, pfn, flags, K::no_execute()));
        }
    }
}
