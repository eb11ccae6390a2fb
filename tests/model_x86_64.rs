//! The traits of the crate `x86_64` by way of slots, beside that crate's own `OffsetPageTable`, which has all memory mapped: they do the same.

use std::collections::BTreeMap;

use highmem::linux::{Pte0, Pte1, Set};
use highmem::model::{Config, Machine, ModelKernel, SharedFrame, Zone};
use highmem::pagetable::WindowMapper;
use highmem::paging::{Long, NonPae, Pae, Paging};
use highmem::{Kernel, PAGE_SIZE, Page as _, Pfn};
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner};
use x86_64::structures::paging::mapper::{MapperAllSizes, TranslateResult};
use x86_64::structures::paging::page::PageSize;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageTable, PageTableFlags, PhysFrame, Size1GiB, Size2MiB, Size4KiB,
    Translate,
};
use x86_64::{PhysAddr, VirtAddr};

/// Pages of the direct map are mapped in slots, too.
type Model = Machine<Long, Set, true>;
type K = ModelKernel<Long, Set, true>;
type Windows<'cx> = WindowMapper<'cx, K, Pte0, Pte1>;

fn machine() -> Model {
    Model::with(Config { memory: 64 << 20, lowmem: 64 << 20, ..Config::default() })
}

/// The kernel's allocator, as that crate wants it.
struct Frames<'m> {
    machine: &'m Model,
    out: Vec<SharedFrame<Long>>,
    left: usize,
}

impl<'m> Frames<'m> {
    fn new(machine: &'m Model) -> Self {
        Self { machine, out: vec![], left: usize::MAX }
    }

    /// A table with nothing in it.
    fn table(&mut self) -> PhysFrame {
        let frame = self.allocate_frame().unwrap();
        self.machine.poke(Pfn::containing(frame.start_address().as_u64()).unwrap(), 0, &[0; PAGE_SIZE]);
        frame
    }
}

impl Frames<'_> {
    /// What is in the tables.
    fn bytes(&self) -> Vec<Vec<u8>> {
        self.out.iter().map(|frame| self.machine.peek(frame.pfn()).to_vec()).collect()
    }

    /// Has the tables as they were.
    fn restore(&self, bytes: &[Vec<u8>]) {
        self.out.iter().zip(bytes).for_each(|(frame, bytes)| self.machine.poke(frame.pfn(), 0, bytes));
    }
}

// SAFETY: the frames are the machine's, and stay out until the test ends.
unsafe impl FrameAllocator<Size4KiB> for Frames<'_> {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        self.left = self.left.checked_sub(1)?;
        let frame = self.machine.alloc(Zone::Low).share();
        let address = frame.pfn().address();
        self.out.push(frame);
        Some(PhysFrame::containing_address(PhysAddr::new(address)))
    }
}

/// What a tree says, by level and page: the flags of entries of tables, and whole entries of pages.
fn tree(machine: &Model, root: PhysFrame) -> BTreeMap<(usize, u64), u64> {
    fn collect(machine: &Model, table: u64, level: usize, page: u64, tree: &mut BTreeMap<(usize, u64), u64>) {
        let bytes = machine.peek(Pfn::containing(table).unwrap());
        for (index, entry) in bytes.chunks(8).enumerate() {
            let entry = u64::from_le_bytes(entry.try_into().unwrap());
            let page = page + ((index as u64) << (9 * (level - 1)));
            let is_table = level > 1 && entry & 0x80 == 0 && entry & 1 != 0;
            if entry != 0 {
                tree.insert((level, page), if is_table { entry & 0xfff } else { entry });
            }
            if is_table {
                collect(machine, entry & 0x000f_ffff_ffff_f000, level - 1, page, tree);
            }
        }
    }
    let mut all = BTreeMap::new();
    collect(machine, root.start_address().as_u64(), 4, 0, &mut all);
    all
}

#[derive(Clone, Copy, Debug)]
struct Step {
    kind: u8,
    size: u8,
    place: (u8, u8, u8, u8),
    frame: u64,
    flags: u8,
    parents: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = (0_u8..3, 0_u8..2, 0_u8..3, 0_u8..3);
    let step = (0_u8..12, 0_u8..3, place, 0_u64..4, any::<u8>(), any::<u8>());
    let step =
        step.prop_map(|(kind, size, place, frame, flags, parents)| Step { kind, size, place, frame, flags, parents });
    proptest::collection::vec(step, 1..60)
}

fn flags(bits: u8) -> PageTableFlags {
    let all = [
        PageTableFlags::WRITABLE,
        PageTableFlags::USER_ACCESSIBLE,
        PageTableFlags::NO_EXECUTE,
        PageTableFlags::GLOBAL,
        PageTableFlags::BIT_9,
    ];
    let chosen = all.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 != 0);
    chosen.fold(PageTableFlags::PRESENT, |flags, (_, flag)| flags | flag)
}

/// What is said, without the addresses of tables.
fn text(said: impl core::fmt::Debug) -> String {
    let text = format!("{said:?}");
    text.split("InvalidFrameAddress").next().unwrap().to_owned()
}

/// Does the same with both, and compares what they say. Says whether it was done: if not, that crate has given flags to the entries above
/// nevertheless, those of huge pages among them.
fn both<S: PageSize + std::fmt::Debug>(
    step: Step,
    (ours, our_frames): (&mut Windows<'_>, &mut Frames<'_>),
    (theirs, their_frames): (&mut OffsetPageTable<'_>, &mut Frames<'_>),
) -> bool
where
    for<'a> Windows<'a>: Mapper<S>,
    for<'a> OffsetPageTable<'a>: Mapper<S>,
{
    let (p4, p3, p2, p1) = step.place;
    let near = |place: u8, far: u64| [0, 1, far][usize::from(place)];
    let number = near(p4, 511) << 27 | u64::from(p3) << 18 | near(p2, 511) << 9 | near(p1, 511);
    let address = VirtAddr::new_truncate(number << 12);
    let page: Page<S> = Page::containing_address(address);
    let frame: PhysFrame<S> = PhysFrame::containing_address(PhysAddr::new(step.frame * S::SIZE));
    let (flags, parents) =
        (flags(step.flags), flags(step.parents) - PageTableFlags::NO_EXECUTE - PageTableFlags::GLOBAL);
    macro_rules! compare {
        (|$mapper:ident, $frames:ident| $operation:expr) => {{
            let said = {
                let ($mapper, $frames) = (&mut *theirs, &mut *their_frames);
                let _ = &$frames;
                text($operation)
            };
            let ($mapper, $frames) = (&mut *ours, &mut *our_frames);
            let _ = &$frames;
            assert_eq!(text($operation), said, "{step:?}");
            said
        }};
    }
    let mut said = String::new();
    // SAFETY: no CPU uses either tree.
    unsafe {
        match step.kind {
            0..4 => {
                said = compare!(|mapper, frames| mapper.map_to(page, frame, flags, frames).map(|flush| flush.page()));
            }
            4 => {
                said = compare!(|mapper, frames| {
                    mapper.map_to_with_table_flags(page, frame, flags, parents, frames).map(|flush| flush.page())
                });
            }
            5 | 6 => {
                compare!(|mapper, frames| mapper.unmap(page).map(|(frame, flush)| (frame, flush.page())));
            }
            7 => {
                // That crate makes a page of an entry that refers to a table.
                let is_page = matches!(theirs.translate(address), TranslateResult::Mapped { frame, .. } if frame.size() == S::SIZE);
                if is_page {
                    compare!(|mapper, frames| mapper.update_flags(page, flags).map(|flush| flush.page()));
                }
            }
            8 => {
                compare!(|mapper, frames| mapper.set_flags_p4_entry(page, parents).map(|_| ()));
            }
            9 if !is_huge(theirs, address, Size1GiB::SIZE) => {
                compare!(|mapper, frames| mapper.set_flags_p3_entry(page, parents).map(|_| ()));
            }
            10 if !is_huge(theirs, address, Size2MiB::SIZE) => {
                compare!(|mapper, frames| mapper.set_flags_p2_entry(page, parents).map(|_| ()));
            }
            _ => {}
        }
    }
    if said.starts_with("Err") {
        return false;
    }
    let is_small =
        matches!(theirs.translate(address), TranslateResult::Mapped { frame, .. } if frame.size() <= S::SIZE);
    if is_small {
        compare!(|mapper, frames| mapper.translate_page(page));
    }
    compare!(|mapper, frames| mapper.translate(address + 0x123));
    compare!(|mapper, frames| mapper.translate_addr(address + 0x7));
    true
}

/// Whether a page of this size or larger is there: that crate makes a table of its entry.
fn is_huge(mapper: &OffsetPageTable<'_>, address: VirtAddr, size: u64) -> bool {
    matches!(mapper.translate(address), TranslateResult::Mapped { frame, .. } if frame.size() >= size)
}

fn run_program(machine: &Model, steps: &[Step]) {
    machine.cpu(0).task(|task| {
        let (mut our_frames, mut their_frames) = (Frames::new(machine), Frames::new(machine));
        let (root, their_root) = (our_frames.table(), their_frames.table());
        let start = VirtAddr::from_ptr(K::direct_map(Pfn::new(0).unwrap()).unwrap().as_ptr());
        let their_table = (start + their_root.start_address().as_u64()).as_mut_ptr::<PageTable>();
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        // SAFETY: the table is of no other use.
        let mut ours = unsafe { WindowMapper::new(slots.pte0, slots.pte1, root) };
        for &step in steps {
            let before = their_frames.bytes();
            // SAFETY: the direct map has all memory, and the table is of no other use meanwhile.
            let mut theirs = unsafe { OffsetPageTable::new(&mut *their_table, start) };
            let (ours, theirs) = ((&mut ours, &mut our_frames), (&mut theirs, &mut their_frames));
            let is_done = match step.size {
                0 => both::<Size4KiB>(step, ours, theirs),
                1 => both::<Size2MiB>(step, ours, theirs),
                _ => both::<Size1GiB>(step, ours, theirs),
            };
            if !is_done {
                their_frames.restore(&before);
            }
            assert_eq!(tree(machine, root), tree(machine, their_root), "{step:?}");
        }
        assert_eq!(our_frames.out.len(), their_frames.out.len());
    });
}

#[test]
fn both_mappers_do_the_same() {
    let machine = machine();
    let runs = Runs { cases: 128, failure_persistence: None, ..Runs::default() };
    let mut runner = TestRunner::new_with_rng(runs, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner
        .run(&steps(), |steps| {
            run_program(&machine, &steps);
            Ok(())
        })
        .unwrap();
}

/// As that crate's documentation has it: generic over the mapper.
fn create_example_mapping(page: Page, mapper: &mut impl MapperAllSizes, allocator: &mut impl FrameAllocator<Size4KiB>) {
    let frame = PhysFrame::containing_address(PhysAddr::new(0xb8000));
    let flags = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
    // SAFETY: no CPU uses the tree.
    let map_to_result = unsafe { mapper.map_to(page, frame, flags, allocator) };
    map_to_result.expect("map_to failed").ignore();
}

#[test]
fn a_mapping_of_that_crates_examples_takes_four_windows() {
    let machine = machine();
    machine.cpu(0).task(|task| {
        let mut frames = Frames::new(&machine);
        let root = frames.table();
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        // SAFETY: the table is of no other use.
        let mut mapper: Windows<'_> = unsafe { WindowMapper::new(slots.pte0, slots.pte1, root) };
        assert_eq!(mapper.level_4_frame(), root);
        let page = Page::containing_address(VirtAddr::new(0x0dea_dbea_f000));
        // One for the walk to the first table, three for the new ones, and one to link them.
        let ((), counts) = machine.cpu(0).count(|| create_example_mapping(page, &mut mapper, &mut frames));
        assert_eq!(counts.invlpg, 5);
        let (found, counts) = machine.cpu(0).count(|| mapper.translate_addr(VirtAddr::new(0x0dea_dbea_f900)));
        assert_eq!((found, counts.invlpg), (Some(PhysAddr::new(0xb8900)), 4));
        let frame = PhysFrame::<Size4KiB>::containing_address(PhysAddr::new(0x5000));
        // SAFETY: no CPU uses the tree.
        unsafe { mapper.identity_map(frame, PageTableFlags::PRESENT, &mut frames) }.unwrap().ignore();
        assert_eq!(mapper.translate_addr(VirtAddr::new(0x5123)), Some(PhysAddr::new(0x5123)));
    });
}

#[test]
fn what_fails_has_changed_nothing() {
    let machine = machine();
    machine.cpu(0).task(|task| {
        let mut frames = Frames::new(&machine);
        let root = frames.table();
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        // SAFETY: the table is of no other use.
        let mut mapper: Windows<'_> = unsafe { WindowMapper::new(slots.pte0, slots.pte1, root) };
        let page = Page::<Size4KiB>::containing_address(VirtAddr::new(0x1000));
        let frame = PhysFrame::containing_address(PhysAddr::new(0x5000));
        let out = frames.out.len();
        for _ in 0..3 {
            // One more each time: those that came are kept.
            frames.left = 1;
            // SAFETY: no CPU uses the tree.
            let result = unsafe { mapper.map_to(page, frame, PageTableFlags::PRESENT, &mut frames) };
            let is_done = result.map(|flush| flush.ignore()).is_ok();
            assert_eq!(is_done, frames.out.len() - out == 3);
            assert_eq!(tree(&machine, root).len(), if is_done { 4 } else { 0 });
        }
        // Tables on the way are granted nothing before all frames are there.
        frames.left = 0;
        let before = tree(&machine, root);
        let (elsewhere, writable) = (VirtAddr::new(0x4000_0000), PageTableFlags::PRESENT | PageTableFlags::WRITABLE);
        // SAFETY: no CPU uses the tree.
        let mapped =
            unsafe { mapper.map_to(Page::<Size4KiB>::containing_address(elsewhere), frame, writable, &mut frames) };
        assert!(mapped.is_err());
        assert_eq!(tree(&machine, root), before);
        // A table where there is no memory.
        machine.poke(Pfn::containing(root.start_address().as_u64()).unwrap(), 0, &(0x4000_0000_u64 | 7).to_le_bytes());
        let before = tree_of_root(&machine, root);
        let said = format!("{:?}", mapper.translate(VirtAddr::new(0x1000)));
        assert!(said.starts_with("InvalidFrameAddress"), "{said}");
        // SAFETY: no CPU uses the tree.
        let mapped = unsafe { mapper.map_to(page, frame, PageTableFlags::PRESENT, &mut frames) };
        assert!(format!("{mapped:?}").contains("ParentEntryHugePage"));
        assert!(format!("{:?}", Mapper::<Size4KiB>::unmap(&mut mapper, page)).contains("InvalidFrameAddress"));
        assert_eq!(tree_of_root(&machine, root), before);
    });
}

fn tree_of_root(machine: &Model, root: PhysFrame) -> Vec<u8> {
    machine.peek(Pfn::containing(root.start_address().as_u64()).unwrap()).to_vec()
}

/// Frame numbers there and back, at the end of what each mode and that crate have numbers for.
#[test]
fn frame_numbers_are_never_cut_to_fit() {
    fn there_and_back<M: Paging>() {
        let last = (1_u64 << M::PFN_BITS) - 1;
        for number in [0, 1, 0x9f, last / 2, last] {
            let pfn = Pfn::<M>::new(number).unwrap();
            let frame = PhysFrame::<Size4KiB>::from(pfn);
            assert_eq!(frame.start_address().as_u64(), number * PAGE_SIZE as u64);
            assert_eq!(Pfn::try_from(frame), Ok(pfn));
            assert_eq!(Pfn::try_from(frame.start_address() + (PAGE_SIZE as u64 - 1)), Ok(pfn));
        }
        // The highest that the crate has is that of 64-bit mode.
        if let Ok(beyond) = PhysAddr::try_new((last + 1) * PAGE_SIZE as u64) {
            assert_eq!(Pfn::<M>::try_from(PhysFrame::<Size4KiB>::containing_address(beyond)), Pfn::new(last + 1));
            assert!(Pfn::<M>::try_from(beyond).is_err());
        } else {
            assert_eq!(M::PFN_BITS, Long::PFN_BITS);
        }
    }
    there_and_back::<NonPae>();
    there_and_back::<Pae>();
    there_and_back::<Long>();
}
