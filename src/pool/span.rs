//! The pool's addresses, and whether the kernel's numbers fit.

use core::marker::PhantomData;

use const_panic::concat_panic;
use typenum::Unsigned;

use super::table::PoolTable;
use crate::kernel::PoolKernel;
use crate::paging::{PAGE_SHIFT, PAGE_SIZE, Paging};

/// The arithmetic of the pool's addresses.
pub(super) struct Span<K>(PhantomData<K>);

impl<K: PoolKernel> Span<K> {
    /// How many entries there are.
    pub(super) const COUNT: usize = <K::PoolEntries as Unsigned>::USIZE;

    /// The numbers of the kernel's pool fit (I9). Reports the caller's line.
    #[track_caller]
    pub(super) const fn check() {
        let (in_a_table, in_the_pool) = (<K::Paging as Paging>::ENTRIES_PER_TABLE, <K::Pool as PoolTable>::ENTRIES);
        if in_the_pool != in_a_table {
            concat_panic!("the kmap pool is one page table, which has ", in_a_table, " entries, and not ", in_the_pool);
        }
        if Self::COUNT > in_a_table {
            concat_panic!(
                "the kmap pool is too small: `PoolEntries` is ",
                Self::COUNT,
                ", and a page table has ",
                in_a_table,
                " entries"
            );
        }
        let span = in_a_table * PAGE_SIZE;
        if !K::PKMAP_BASE.is_multiple_of(span) {
            concat_panic!("PKMAP_BASE ", {#X}: K::PKMAP_BASE, " is not a multiple of what one page table covers, ", {#X}: span);
        }
    }

    const CHECKED: () = Self::check();

    /// So many pages at once can be had.
    #[track_caller]
    pub(super) const fn check_room_for(pages: usize) {
        if pages > Self::COUNT {
            concat_panic!(
                "the kmap pool is too small: ",
                pages,
                " pages at once, and it has ",
                Self::COUNT,
                " entries"
            );
        }
    }

    /// The address of an entry's page.
    #[inline]
    pub(super) fn address_of(entry: usize) -> usize {
        const { Self::CHECKED };
        K::PKMAP_BASE + (entry << PAGE_SHIFT)
    }

    /// Whether an address is one of the pool's.
    #[inline]
    pub(super) fn contains(address: usize) -> bool {
        address.wrapping_sub(K::PKMAP_BASE) < Self::COUNT << PAGE_SHIFT
    }

    /// The entry for an address, if it is one of the pool's.
    #[inline]
    pub(super) fn entry_at(address: usize) -> Option<usize> {
        Self::contains(address).then_some(address.wrapping_sub(K::PKMAP_BASE) >> PAGE_SHIFT)
    }
}
