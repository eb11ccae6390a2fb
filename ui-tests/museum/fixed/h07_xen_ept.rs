//! Who splits has unmapped the table, and nobody else.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/domain.rs"]
mod domain;
use domain::*;

pub const SUPERPAGE: u64 = 1 << 7;

/// Makes small pages of a large one, if there is a page for their table.
fn ept_split_super_page(e: u64, pool: &mut usize) -> Option<u64> {
    *pool = pool.checked_sub(1)?;
    Some(e & !SUPERPAGE)
}

fn ept_invalidate_emt(
    slot: Slot<'_, MyKernel, User0>,
    table: &mut Frame,
    index: usize,
    pool: &mut usize,
) -> Result<u32, ()> {
    let epte = kmap_atomic(slot, table);
    let e = entry(&epte[..], index);
    if e & SUPERPAGE != 0 {
        let (slot, table) = kunmap_atomic(epte);
        let e = ept_split_super_page(e, pool).ok_or(())?;
        set_entry(&mut kmap_atomic(slot, table)[..], index, e);
        return Ok(1);
    }
    Ok(0)
}

fn main() {
    let (mut table, mut pool) = (frame(0), 1);
    write_entry(&mut table, 1, SUPERPAGE | 5);
    write_entry(&mut table, 2, SUPERPAGE | 6);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        for (index, splits) in [(1, Ok(1)), (1, Ok(0)), (2, Err(()))] {
            assert_eq!(ept_invalidate_emt(slot.reborrow(), &mut table, index, &mut pool), splits);
        }
    });
    assert_eq!([1, 2].map(|index| read_entry(&table, index)), [5, SUPERPAGE | 6]);
}
