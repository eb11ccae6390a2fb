//! Unit tests of the parts: the bits of entries, addresses, and how scopes grow.

use super::flush::{Cpus, Scope};
use super::{AddressSpace, Error, MustFlush, Pages, TableFrame, TableSource, numbers};
use crate::machine::recorder::{Event, Recorder};
use crate::paging::{
    Content, Flags, Layout, LayoutError, MemoryType, NonPae, PAGE_SIZE, Pae, PageSize, Paging, Pat, Wrong,
};
use crate::test_kernel::{REPORTS, TestKernel, calls};
use crate::{Frame, Pfn, Task};
use std::string::ToString;
use std::vec::Vec;

type K = TestKernel<false>;

fn pfn<P: Paging>(number: u64) -> Pfn<P> {
    Pfn::new(number).unwrap()
}

const ALL: Flags = Flags::WRITABLE
    .with(Flags::USER)
    .with(Flags::NO_EXECUTE)
    .with(Flags::GLOBAL)
    .with(Flags::ACCESSED)
    .with(Flags::DIRTY)
    .cached::<K>(MemoryType::Uncached);

#[test]
fn entries_have_the_bits_of_the_manual() {
    let (plain, pae) = (Layout::<NonPae>::new(), Layout::<Pae>::new());
    assert_eq!(plain.entry(PageSize::Small, pfn(0x1_2345), ALL, true), 0x1234_517f);
    assert_eq!(plain.entry(PageSize::Large, pfn(0x1_2400), Flags::READ, true), 0x1240_0081);
    assert_eq!(plain.table(2, pfn(7)), 0x7027);
    assert_eq!(pae.entry(PageSize::Small, pfn(0x12_3456), ALL, true), 0x8000_0001_2345_617f);
    assert_eq!(pae.entry(PageSize::Small, pfn(0x12_3456), ALL, false), 0x1_2345_617f, "without EFER.NXE");
    assert_eq!(pae.entry(PageSize::Large, pfn(0x12_3400), Flags::WRITABLE, true), 0x1_2340_0083);
    assert_eq!(
        (pae.table(2, pfn(7)), pae.table(3, pfn(7))),
        (0x7027, 0x7001),
        "the top-level entries of PAE have no rights"
    );
}

#[test]
fn what_an_entry_says_is_what_it_was_made_of() {
    fn check<P: Paging>(no_execute: Flags) {
        let layout = Layout::<P>::new();
        for (size, number) in [(PageSize::Small, 0x321), (PageSize::Large, 0x1400)] {
            let flags = ALL.without(Flags::NO_EXECUTE).with(no_execute);
            let entry = layout.entry(size, pfn(number), flags, true);
            assert_eq!(layout.content(size.level(), entry, true), Ok(Content::Maps(pfn(number), flags)));
            assert_eq!(layout.content(size.level(), entry & !1, true), Ok(Content::Nothing));
        }
        let table = layout.table(2, pfn(9));
        assert_eq!(layout.content(2, table, true), Ok(Content::Table(pfn(9), Flags::WRITABLE | Flags::USER)));
        let top = layout.table(layout.levels(), pfn(9));
        let allowed = Ok(Content::Table(pfn(9), Flags::WRITABLE | Flags::USER));
        assert_eq!(layout.content(layout.levels(), top, true), allowed);
    }
    check::<NonPae>(Flags::READ);
    check::<Pae>(Flags::NO_EXECUTE);
    #[cfg(target_pointer_width = "64")]
    check::<crate::paging::Long>(Flags::NO_EXECUTE);
}

#[test]
fn a_large_page_has_its_cache_bit_elsewhere() {
    const PROTECTED: u64 = 0b101;
    let layout = Layout::<Pae>::new();
    // PAT and PWT: the sixth type.
    let small = 0x1000 | PROTECTED << 5 & 0x80 | PROTECTED << 3 & 0x08 | 1;
    let Ok(Content::Maps(_, flags)) = layout.content(1, small, true) else { panic!("a page") };
    assert_eq!(flags.memory_type(Pat::ALL_TYPES), MemoryType::WriteProtected);
    let large = layout.entry(PageSize::Large, pfn(0x200), flags, true);
    assert_eq!(large, 0x20_0000 | 1 << 12 | 0x80 | 0x08 | 1);
    assert_eq!(layout.content(2, large, true), Ok(Content::Maps(pfn(0x200), flags)));
    assert_eq!(layout.entry(PageSize::Small, pfn(0x200), flags, true), 0x20_0000 | 0x80 | 0x08 | 1);
}

#[test]
fn a_page_is_what_all_levels_allow() {
    let none = Flags::READ;
    assert_eq!((Flags::WRITABLE | Flags::USER).limited_by(Flags::USER), Flags::USER);
    assert_eq!(none.limited_by(Flags::WRITABLE | Flags::USER), none);
    assert_eq!(Flags::WRITABLE.limited_by(Flags::NO_EXECUTE), Flags::NO_EXECUTE);
    assert_eq!(Flags::GLOBAL.with(Flags::DIRTY).limited_by(none), Flags::GLOBAL | Flags::DIRTY);
    assert_eq!(std::format!("{:?}", Flags::WRITABLE | Flags::USER), "Flags(rwx user, PatIndex(0))");
    assert_eq!(std::format!("{:?}", ALL), "Flags(rw user global accessed dirty, PatIndex(3))");
}

#[test]
fn reserved_bits_are_those_of_the_processor() {
    let few = Layout::<Pae>::new().physical_address_bits(36).unwrap();
    let content = |level: usize, bit: u32| few.content(level, 0x1001 | 1 << bit, true);
    assert_eq!(content(1, 36), Err(Wrong::ReservedBit));
    assert!(content(1, 35).is_ok());
    assert_eq!(few.content(1, 1 << 63 | 1, false), Err(Wrong::ReservedBit), "without EFER.NXE");
    assert!(few.content(1, 1 << 63 | 1, true).is_ok());
    // The entries that a CPU loads with CR3 have no rights, and no large page.
    for bit in [1, 2, 6, 7, 8, 63] {
        assert_eq!(content(3, bit), Err(Wrong::ReservedBit), "bit {bit}");
    }
    assert_eq!(content(3, 5), Ok(Content::Table(pfn(1), Flags::WRITABLE | Flags::USER)), "QEMU sets it");
    // A large page begins where it can; the bit below is PAT.
    let large = |bit: u32| few.content(2, 0x81 | 1 << bit, true);
    assert_eq!([12, 13, 20, 21].map(|bit| large(bit).is_ok()), [true, false, false, true]);
    let small = Layout::<NonPae>::new().with_largest(PageSize::Small).unwrap();
    assert_eq!(small.content(2, 0x81, true), Err(Wrong::ReservedBit));
    assert_eq!(Layout::<Pae>::new().physical_address_bits(12), Err(LayoutError));
    assert_eq!(Layout::<Pae>::new().physical_address_bits(53), Err(LayoutError));
    assert_eq!(LayoutError.to_string(), "page tables in this paging mode cannot be laid out so");
}

#[test]
fn pages_are_counted_without_a_gap() {
    let plain = Layout::<NonPae>::new();
    assert_eq!(numbers(plain, Pages::new(0xffff_f000, 1)), Ok(0xf_ffff..0x10_0000));
    #[cfg(target_pointer_width = "64")]
    {
        let past = Error::NotCanonical { address: 1 << 32 };
        assert_eq!(numbers(plain, Pages::new(0xffff_f000, 2)), Err(past));
        let long = Layout::<crate::paging::Long>::new();
        let high = 0xffff_8000_0000_0000;
        assert_eq!(numbers(long, Pages::new(high, 1)), Ok(1 << 35..(1 << 35) + 1));
        assert_eq!(long.address(1 << 35), high);
        assert_eq!(numbers(long, Pages::new(0_usize.wrapping_sub(PAGE_SIZE), 1)).unwrap().end, 1 << 36);
        assert!(numbers(long, Pages::new(0_usize.wrapping_sub(PAGE_SIZE), 2)).is_err());
        // Over the addresses that there are not.
        let hole = 1 << 47;
        assert_eq!(numbers(long, Pages::new(hole - PAGE_SIZE, 1)), Ok((1 << 35) - 1..1 << 35));
        assert_eq!(numbers(long, Pages::new(hole - PAGE_SIZE, 2)), Err(Error::NotCanonical { address: hole }));
        assert_eq!(long.page(hole), None);
        assert_eq!(long.with_levels(5).unwrap().page(hole), Some(1 << 35));
        assert_eq!(long.with_levels(5).unwrap().page(1 << 56), None);
    }
}

#[test]
fn a_scope_grows_by_neighbours() {
    let (cpus, page) = (Cpus::OfSpace(pfn::<Pae>(1)), |number: usize| Pages::one(number * PAGE_SIZE));
    let mut scope = Scope::nothing();
    assert!(scope.is_nothing() && scope.pages() == Some(0));
    scope.add(cpus, page(4));
    scope.add(cpus, page(5));
    scope.add(cpus, page(3));
    scope.add(cpus, page(4));
    let ranges = |scope: &Scope<Pae>| scope.ranges().collect::<Vec<_>>();
    assert_eq!(ranges(&scope), [Pages::new(3 * PAGE_SIZE, 3)]);
    scope.add(cpus, page(7));
    assert_eq!(scope.pages(), Some(4));
    (0..6).for_each(|number| scope.add(cpus, page(20 + number * 10)));
    assert_eq!((ranges(&scope).len(), scope.pages()), (8, Some(10)));
    // There is no room for another: the nearest grows.
    scope.add(cpus, page(73));
    assert_eq!(ranges(&scope)[7], Pages::new(70 * PAGE_SIZE, 4));
    assert_eq!(scope.cpus(), cpus);
    scope.add(Cpus::OfSpace(pfn(2)), page(7));
    assert_eq!(scope.cpus(), Cpus::All);
    scope.add_all(cpus);
    assert!(scope.is_whole() && scope.pages().is_none() && ranges(&scope).is_empty());
}

#[test]
fn the_last_pages_of_all_are_neighbours() {
    let (cpus, last) = (Cpus::OfSpace(pfn::<Pae>(1)), 0_usize.wrapping_sub(PAGE_SIZE));
    let mut scope = Scope::nothing();
    scope.add(cpus, Pages::one(last));
    scope.add(cpus, Pages::one(last - PAGE_SIZE));
    scope.add(cpus, Pages::one(0));
    let ranges: Vec<_> = scope.ranges().collect();
    assert_eq!(ranges, [Pages::new(last - PAGE_SIZE, 2), Pages::one(0)]);
}

/// The frames of the test kernel's lowmem, as tables.
struct Tables(Vec<Frame<Pae>>);

impl TableSource for Tables {
    type Frame = Frame<Pae>;

    fn take(&mut self) -> Option<Frame<Pae>> {
        self.0.pop()
    }

    fn give_back(&mut self, frame: Frame<Pae>) {
        Recorder::note(Event::GivenBack(crate::Page::pfn(&frame).number()));
        self.0.push(frame);
    }
}

/// Runs `f` with a space in which there are pages at 0x1000, global, and at 0x2000, and with what it unmaps of it.
fn with_unmapped(pages: &[Pages], f: impl FnOnce(&mut Task<'_, K>, Vec<MustFlush<K, Frame<Pae>>>, &mut Tables)) {
    // SAFETY: I5: these frames are of no other use. I1: each test is a thread, and enters once.
    let mut tables = Tables((0..4).map(|number| unsafe { Frame::from_pfn(pfn(number)) }).collect());
    // SAFETY: I1: each test is a thread, and enters once.
    unsafe {
        Task::<K>::enter(|task| {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            let root = tables.take().unwrap();
            let mut space = AddressSpace::new(slots.user0, root, Pages::new(0, 1 << 20), Layout::new()).unwrap();
            let mut edit = space.edit(slots.pte0, slots.pte1, &mut tables);
            for (address, flags) in [(0x1000, Flags::GLOBAL), (0x2000, Flags::READ)] {
                // A top-level entry of PAE is new.
                let flush = edit.map(address, pfn(9), PageSize::Small, flags).unwrap();
                edit.flush(flush);
            }
            let changed = pages.iter().map(|&pages| edit.unmap(pages, |_| ()).unwrap()).collect();
            drop(atomic);
            f(task, changed, &mut tables);
        });
    }
}

#[test]
fn tables_are_given_back_behind_the_flush() {
    with_unmapped(&[Pages::new(0, 3)], |task, changed, tables| {
        let [changed] = changed.try_into().unwrap();
        assert_eq!((changed.tables(), changed.scope().is_whole()), (2, true));
        let mut calls_made = Vec::new();
        let events = Recorder::record(|| {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            calls_made = calls(|| changed.flush(slots.pte0, tables));
        });
        assert_eq!(calls_made, ["on_cpus(all)"], "one of them was global");
        assert!(matches!(events[..], [Event::FlushAll, Event::GivenBack(_), Event::GivenBack(_)]), "{events:?}");
    });
}

#[test]
fn a_page_is_flushed_by_itself_and_many_are_flushed_together() {
    with_unmapped(&[Pages::one(0x2000)], |task, changed, tables| {
        let [changed] = changed.try_into().unwrap();
        let mut calls_made = Vec::new();
        let events = Recorder::record(|| {
            let mut atomic = task.atomic();
            calls_made = calls(|| changed.flush(atomic.slots().pte0, tables));
        });
        assert_eq!((calls_made, events), (["on_cpus(of a space)"].into(), [Event::Invlpg(0x2000)].into()));
    });
    let mut scope = Scope::nothing();
    scope.add(Cpus::OfSpace(pfn::<Pae>(1)), Pages::new(0, 33));
    // SAFETY: the recorder only writes it down.
    let flushed = |scope: &Scope<Pae>| Recorder::record(|| unsafe { scope.flush_here::<K>() });
    assert_eq!(flushed(&scope).len(), 33);
    scope.add(Cpus::OfSpace(pfn(1)), Pages::one(33 * PAGE_SIZE));
    assert_eq!(flushed(&scope), [Event::FlushAll]);
    assert_eq!(flushed(&Scope::nothing()), []);
}

#[test]
fn two_obligations_are_one() {
    with_unmapped(&[Pages::one(0x2000), Pages::one(0x1000)], |task, changed, tables| {
        let [first, second] = changed.try_into().unwrap();
        let free = tables.0.len();
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let both = first.merge(slots.pte1, second);
        assert_eq!(both.scope().cpus(), Cpus::All);
        // SAFETY: no CPU uses the space.
        let events = Recorder::record(|| unsafe { both.ignore(slots.pte0, tables) });
        assert_eq!((events.len(), tables.0.len()), (2, free + 2), "{events:?}");
    });
}

#[test]
fn what_is_dropped_is_lost_and_reported() {
    with_unmapped(&[Pages::one(0x2000), Pages::one(0x1000)], |_, changed, tables| {
        let free = tables.0.len();
        REPORTS.take();
        assert_eq!(Recorder::record(|| drop(changed)), []);
        assert_eq!(tables.0.len(), free);
        let reports = REPORTS.take();
        if cfg!(feature = "debug") {
            assert!(reports[0].contains("src/pagetable/tests.rs"), "{reports:?}");
            assert!(reports[1].ends_with("were not flushed, and 2 of them are lost"), "{reports:?}");
        } else {
            assert!(reports.is_empty());
        }
    });
}

#[test]
fn a_frame_is_a_table_and_a_frame_again() {
    // SAFETY: I5: exists only as a number.
    let frame: Frame<Pae> = unsafe { Frame::from_pfn(pfn(3)) };
    let number = TableFrame::into_pfn(frame);
    // SAFETY: just now, it was a value.
    assert_eq!(unsafe { <Frame<Pae> as TableFrame>::from_pfn(number) }.into_pfn(), pfn(3));
}

#[test]
fn errors_say_where() {
    let corrupt = super::Corrupt { address: 0x20_0000, level: 2, entry: 0x1003, wrong: Wrong::NoTable };
    let texts = [
        (Error::Misaligned { address: 0x1001, align: 4096 }, "address 0x1001 is not a multiple of 0x1000"),
        (Error::NotCanonical { address: 1 << 31 }, "no page can be at address 0x80000000"),
        (Error::OutsideOfSpace { address: 0x1000 }, "address 0x1000 does not belong to the address space"),
        (Error::NoSuchSize { size: PageSize::Huge }, "this layout has no pages of size Huge"),
        (Error::MisalignedFrame { pfn: 1 }, "no large page begins at pfn 0x1"),
        (Error::OutOfReach { pfn: 1 << 20 }, "the processor does not reach pfn 0x100000"),
        (Error::AlreadyMapped { address: 0, size: PageSize::Large }, "a page of size Large is mapped at 0x0"),
        (Error::TableInTheWay { address: 0 }, "there is a table for smaller pages at 0x0"),
        (Error::NotMapped { address: 0x1000 }, "no page is mapped at 0x1000"),
        (Error::AcrossTables { address: 0x1000 }, "pages from address 0x1000 on are not all of one page table"),
        (Error::NoFrame, "there is no frame for a table"),
        (
            corrupt.into(),
            "the entry 0x1003 for 0x200000 in a table of level 2 refers to a table where there is no memory",
        ),
    ];
    for (error, text) in texts {
        assert_eq!(error.to_string(), text);
    }
}
