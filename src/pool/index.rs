//! From a page to its entry: a hash table with open addressing, four places for each entry.
//!
//! Under the lock it is exact. Without it, it may be read all the same: then it may miss what is there while somebody moves it, and
//! may name an entry that has become another page's. So a find is a guess that the entry itself confirms
//! ([`Entry::hold`](super::entries::Entry::hold)), and a miss is looked up again under the lock.

use core::sync::atomic::Ordering::Relaxed;

use crate::sync::AtomicU16;

/// Places for each entry, so that most pages are at the first place where they are looked for.
const PLACES: usize = 4;

/// The table for `N` entries. `N` is a power of two.
pub(super) struct Index<const N: usize>(
    /// 0, or the number of an entry plus 1. Two dimensions because the length of an array cannot be computed from `N`.
    [[AtomicU16; PLACES]; N],
);

/// A place where nothing is.
pub(super) struct Vacant(usize);

impl<const N: usize> Index<N> {
    const BITS: u32 = (N * PLACES).ilog2();
    const MASK: usize = N * PLACES - 1;

    pub(super) const fn empty() -> Self {
        Self([const { [const { AtomicU16::new(0) }; PLACES] }; N])
    }

    /// Where a frame is looked for first: the highest bits of a product, which depend on all bits of the number (Knuth, vol. 3, 6.4).
    #[inline]
    fn home(pfn: usize) -> usize {
        const GOLDEN: u32 = 0x9e37_79b9;
        ((pfn as u32).wrapping_mul(GOLDEN) >> (u32::BITS - Self::BITS)) as usize
    }

    #[inline]
    fn place(&self, at: usize) -> &AtomicU16 {
        &self.0.as_flattened()[at & Self::MASK]
    }

    /// The entry that is most likely that of a frame.
    #[inline]
    pub(super) fn first_candidate(&self, pfn: usize) -> usize {
        // 0 becomes a number that no entry has.
        usize::from(self.place(Self::home(pfn)).load(Relaxed)).wrapping_sub(1)
    }

    /// The entries that may be those of a frame, most likely ones first.
    #[inline]
    pub(super) fn candidates(&self, pfn: usize) -> impl Iterator<Item = usize> {
        let home = Self::home(pfn);
        (home..home + N * PLACES).map_while(|at| usize::from(self.place(at).load(Relaxed)).checked_sub(1))
    }

    /// The entry of a frame that `is_wanted`, or else the place where such an entry is to be inserted. Under the lock.
    #[inline]
    pub(super) fn locate(&self, pfn: usize, is_wanted: impl Fn(usize) -> bool) -> Result<usize, Vacant> {
        let mut at = Self::home(pfn);
        // There are four places for each entry, so this ends.
        loop {
            match usize::from(self.place(at).load(Relaxed)).checked_sub(1) {
                None => return Err(Vacant(at)),
                Some(entry) if is_wanted(entry) => return Ok(entry),
                Some(_) => at += 1,
            }
        }
    }

    /// Enters an entry for the frame that [`locate`](Self::locate) was asked for, and says at what place. Under the lock, which was held
    /// since.
    #[inline]
    pub(super) fn insert(&self, Vacant(at): Vacant, entry: usize) -> usize {
        self.place(at).store(entry as u16 + 1, Relaxed);
        at & Self::MASK
    }

    /// Takes out what is at a place. Under the lock. `pfn_of` gives the frame of an entry, and `moved` is told of the new place of one.
    ///
    /// What is looked for behind the place is moved up, so that there is never a hole between a frame's home and its place (Knuth, vol. 3,
    /// 6.4, algorithm R).
    #[inline]
    pub(super) fn remove(&self, place: usize, pfn_of: impl Fn(usize) -> usize, moved: impl Fn(usize, usize)) {
        let mut hole = place;
        let mut at = place + 1;
        while let Some(other) = usize::from(self.place(at).load(Relaxed)).checked_sub(1) {
            // How far it is from its home; it may move up if the hole is not before that.
            let distance = at.wrapping_sub(Self::home(pfn_of(other))) & Self::MASK;
            if distance >= at - hole {
                self.place(hole).store(other as u16 + 1, Relaxed);
                moved(other, hole & Self::MASK);
                hole = at;
            }
            at += 1;
        }
        self.place(hole).store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;
    use std::vec::Vec;

    /// Pseudo-random numbers (xorshift), the same each time.
    fn numbers() -> impl Iterator<Item = usize> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        core::iter::from_fn(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            Some((state >> 20) as usize)
        })
    }

    /// Against a plain list, with many removals, for frames whose homes collide.
    #[test]
    fn finds_what_is_in_it_and_nothing_else() {
        const N: usize = 16;
        let index = Index::<N>::empty();
        let mut pfns = [None; N];
        let places = [const { Cell::new(0) }; N];
        let mut numbers = numbers();
        for _ in 0..20_000 {
            let entry = numbers.next().unwrap() % N;
            match pfns[entry].take() {
                Some(pfn) => {
                    let all = pfns;
                    let pfn_of = |other: usize| all[other].expect("is in the table");
                    assert_eq!(usize::from(index.place(places[entry].get()).load(Relaxed)), entry + 1, "of {pfn}");
                    index.remove(places[entry].get(), pfn_of, |other, place| places[other].set(place));
                }
                None => {
                    let pfn = numbers.next().unwrap() % 40;
                    let Err(vacant) = index.locate(pfn, |_| false) else { unreachable!() };
                    places[entry].set(index.insert(vacant, entry));
                    pfns[entry] = Some(pfn);
                }
            }
            for (entry, pfn) in pfns.iter().enumerate() {
                if let Some(pfn) = *pfn {
                    assert!(index.candidates(pfn).any(|found| found == entry), "{entry} of {pfn} is lost");
                }
            }
            let taken = index.0.iter().flatten().filter(|place| place.load(Relaxed) != 0).count();
            assert_eq!(taken, pfns.iter().flatten().count());
        }
    }

    #[test]
    fn most_frames_are_where_they_are_looked_for_first() {
        const N: usize = 512;
        for stride in [1, 3, 64, 512, 4096] {
            let index = Index::<N>::empty();
            for entry in 0..N {
                let Err(vacant) = index.locate(0x14_0000 + entry * stride, |_| false) else { unreachable!() };
                index.insert(vacant, entry);
            }
            let looks =
                |entry| 1 + index.candidates(0x14_0000 + entry * stride).position(|found| found == entry).unwrap();
            let looks: Vec<usize> = (0..N).map(looks).collect();
            assert!(looks.iter().sum::<usize>() < N * 3 / 2, "stride {stride}: {}", looks.iter().sum::<usize>());
        }
    }
}
