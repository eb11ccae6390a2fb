//! Of `docs/how-to/page-tables.md`.

use highmem::pagetable::{AddressSpace, Error, Pages, TableSource};
use highmem::paging::{Flags, PageSize};
use highmem::{Page, Pfn};

use super::Pae;
use super::mm::{Atomic, K};

type SharedFrame = highmem::SharedFrame<Pae>;
type Space = AddressSpace<K, SharedFrame>;

struct Tables<'a> {
    free: &'a mut Vec<SharedFrame>,
}

impl TableSource for Tables<'_> {
    type Frame = SharedFrame;

    fn take(&mut self) -> Option<SharedFrame> {
        self.free.pop()
    }

    fn give_back(&mut self, frame: SharedFrame) {
        self.free.push(frame);
    }
}

fn map(
    atomic: &mut Atomic<'_>,
    space: &mut Space,
    tables: &mut Tables<'_>,
    at: usize,
    page: &SharedFrame,
) -> Result<(), Error> {
    let slots = atomic.slots();
    let mut edit = space.edit(slots.pte0, slots.pte1, tables);
    // SAFETY: the frame is memory of the process, and stays its own until it is unmapped and flushed.
    let flush = unsafe { edit.map(at, page.pfn(), PageSize::Small, Flags::USER | Flags::WRITABLE) }?;
    edit.flush(flush);
    Ok(())
}

fn unmap(atomic: &mut Atomic<'_>, space: &mut Space, tables: &mut Tables<'_>, pages: Pages) -> Result<usize, Error> {
    let slots = atomic.slots();
    let mut edit = space.edit(slots.pte0, slots.pte1, tables);
    let mut count = 0;
    let flush = edit.unmap(pages, |_page| count += 1)?;
    edit.flush(flush); // on all CPUs that have the space; then tables that are empty go back
    Ok(count)
}

fn frame_at(atomic: &mut Atomic<'_>, space: &Space, address: usize) -> Result<Option<Pfn<Pae>>, Error> {
    let entry = space.entry(atomic.slots().pte0, address)?; // its table is mapped as long as `entry` lives
    Ok(entry.leaf()?.map(|leaf| leaf.pfn))
}

fn protect(atomic: &mut Atomic<'_>, space: &mut Space, tables: &mut Tables<'_>, pages: Pages) -> Result<(), Error> {
    let slots = atomic.slots();
    let mut edit = space.edit(slots.pte0, slots.pte1, tables);
    let flush = edit.restrict(pages, |page| page.flags.without(Flags::WRITABLE))?;
    edit.flush(flush);
    Ok(())
}

mod tests {
    use highmem::model::{Config, Machine, Zone};
    use highmem::paging::Layout;

    use super::*;
    use crate::{atomic, check};

    #[test]
    fn pages_come_and_go_with_their_tables() {
        let machine = Machine::with(Config { memory: 64 << 20, lowmem: 0, ..Config::default() });
        let frames: Vec<_> = (0..10).map(|_| machine.alloc(Zone::High).share()).collect();
        // SAFETY: I5: `frames` has them until the end of the test, and uses none.
        let mut free: Vec<SharedFrame> =
            frames.iter().map(|frame| unsafe { SharedFrame::from_pfn(frame.pfn()) }).collect();
        let (root, page) = (free.pop().unwrap(), free.pop().unwrap());
        let mut tables = Tables { free: &mut free };
        atomic(&machine, |atomic| {
            let span = Pages::new(0, 1 << 18);
            let Ok(mut space) = Space::new(atomic.slots().user0, root, span, Layout::new()) else { panic!("no root") };
            assert_eq!(frame_at(atomic, &space, 0x5000), Err(Error::NotMapped { address: 0x5000 }), "no table");
            map(atomic, &mut space, &mut tables, 0x5000, &page).unwrap();
            assert_eq!(tables.free.len(), 6, "a table for each of two levels");
            assert_eq!(frame_at(atomic, &space, 0x5fff), Ok(Some(page.pfn())));
            assert!(matches!(map(atomic, &mut space, &mut tables, 0x5000, &page), Err(Error::AlreadyMapped { .. })));

            assert_eq!(frame_at(atomic, &space, 0x6000), Ok(None));

            let flags = |atomic: &mut Atomic<'_>, space: &Space| {
                space.translate(atomic.slots().pte0, 0x5000).unwrap().unwrap().flags
            };
            assert!(flags(atomic, &space).contains(Flags::WRITABLE));
            protect(atomic, &mut space, &mut tables, Pages::one(0x5000)).unwrap();
            assert!(!flags(atomic, &space).contains(Flags::WRITABLE));

            assert_eq!(unmap(atomic, &mut space, &mut tables, Pages::new(0x1000, 9)), Ok(1));
            assert!(frame_at(atomic, &space, 0x5000).is_err());
            assert_eq!(tables.free.len(), 8, "both tables came back");
        });
        check(&machine);
    }
}
