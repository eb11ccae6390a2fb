//! Page tables in high memory, on the model: what operations make of tables is what a plain map says, as read by a walker of the tests' own;
//! an operation that fails has changed nothing; and nothing that the processor writes meanwhile gets lost.

mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use highmem::linux::{Pte0, Pte1, Set};
use highmem::model::{Config, Cpu, Machine, ModelKernel, Schedules, Zone};
use highmem::pagetable::{AddressSpace, Corrupt, Editor, Error, Leaf, MustFlush, Pages, TableSource};
use highmem::paging::{Flags, Layout, PAGE_SIZE, PageSize, Paging, Wrong};
use highmem::{Page, Pfn, SharedFrame, Task, debug};
use model::in_each_mode;
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner};

type K<P> = ModelKernel<P>;
type Model<P> = Machine<P, Set>;
type Space<P> = AddressSpace<K<P>, SharedFrame<P>>;
type Edit<'e, 'cx, 'm, P> = Editor<'e, 'cx, K<P>, SharedFrame<P>, Pte0, Pte1, Stock<'m, P>>;
type Flush<P> = MustFlush<K<P>, SharedFrame<P>>;

in_each_mode!(
    programs_do_what_the_reference_says,
    frames_that_run_out_leave_nothing_behind,
    what_is_corrupt_is_an_error_and_stays,
    addresses_and_frames_that_cannot_be_are_errors,
    bits_of_the_processor_are_not_lost_at_any_step,
    a_bit_is_cleared_by_one_cpu,
    page_walkers_see_whole_changes_at_any_step,
    a_walk_maps_each_level_once,
    a_range_maps_each_table_once,
    tables_are_freed_behind_the_flush,
    a_space_is_torn_down,
    entries_are_used_one_by_one,
    the_kernels_part_is_shared,
);

/// A machine without lowmem: each table takes a mapping, and has no other address.
fn machine<P: Paging>() -> Model<P> {
    Model::with(Config { memory: 64 << 20, lowmem: 0, ..Config::default() })
}

/// The layouts of a paging mode.
fn layouts<P: Paging>() -> Vec<Layout<P>> {
    let mut layouts = vec![Layout::new()];
    if P::LONG_MODE {
        let huge = Layout::new().with_largest(PageSize::Huge).unwrap();
        layouts.extend([huge, huge.with_levels(5).unwrap()]);
    }
    layouts
}

/// Where tables come from: so many are left, and it knows which are out.
struct Stock<'m, P: Paging> {
    machine: &'m Model<P>,
    left: usize,
    out: BTreeMap<usize, highmem::model::SharedFrame<P>>,
}

impl<'m, P: Paging> Stock<'m, P> {
    fn new(machine: &'m Model<P>) -> Self {
        Self { machine, left: usize::MAX, out: BTreeMap::new() }
    }
}

impl<P: Paging> TableSource for Stock<'_, P> {
    type Frame = SharedFrame<P>;

    fn take(&mut self) -> Option<SharedFrame<P>> {
        self.left = self.left.checked_sub(1)?;
        let frame = self.machine.alloc(Zone::High).share();
        let pfn = frame.pfn();
        // As somebody left it: full of entries that are present.
        self.machine.poke(pfn, 0, &[0xdd; PAGE_SIZE]);
        self.out.insert(pfn.number(), frame);
        // SAFETY: I5: the frame stays in `out` until it is given back.
        Some(unsafe { SharedFrame::from_pfn(pfn) })
    }

    fn give_back(&mut self, frame: SharedFrame<P>) {
        self.left = self.left.saturating_add(1);
        self.out.remove(&frame.into_pfn().number()).expect("a table is given back once");
    }
}

/// What is mapped: by the number of the first page, the level of the entry, the first frame, and the flags.
type Map = BTreeMap<u64, (usize, u64, Flags)>;

/// The walker of the tests: it reads memory as a device does, and knows no code of the crate's but the names of flags.
struct Walker<'m, P: Paging> {
    machine: &'m Model<P>,
    root: u64,
    levels: usize,
}

impl<P: Paging> Walker<'_, P> {
    const SIZE: usize = if P::PAE { 8 } else { 4 };
    const ENTRIES: u64 = 4096 / Self::SIZE as u64;
    const BITS: u32 = if P::PAE { 9 } else { 10 };

    fn entry(&self, table: u64, index: u64) -> u64 {
        let bytes = self.machine.peek(Pfn::new(table).unwrap());
        let mut entry = [0; 8];
        entry[..Self::SIZE].copy_from_slice(&bytes[index as usize * Self::SIZE..][..Self::SIZE]);
        u64::from_le_bytes(entry)
    }

    /// As the processor, or memory that is broken, writes it.
    fn set_entry(&self, table: u64, index: u64, entry: u64) {
        let bytes = entry.to_le_bytes();
        self.machine.poke(Pfn::new(table).unwrap(), index as usize * Self::SIZE, &bytes[..Self::SIZE]);
    }

    fn index(level: usize, page: u64) -> u64 {
        (page >> (Self::BITS * (level as u32 - 1))) % Self::ENTRIES
    }

    /// The table with the entry that maps a page, the index, and the level; of the last table that there is.
    fn find(&self, page: u64) -> (u64, u64, usize) {
        let (mut table, mut level) = (self.root, self.levels);
        loop {
            let index = Self::index(level, page);
            let entry = self.entry(table, index);
            if level == 1 || entry & 1 == 0 || entry & 0x80 != 0 {
                return (table, index, level);
            }
            (table, level) = (Self::frame(entry), level - 1);
        }
    }

    fn frame(entry: u64) -> u64 {
        (entry & 0x000f_ffff_ffff_f000) >> 12
    }

    /// All that is mapped, and the frames of all tables.
    fn all(&self) -> (Map, BTreeSet<u64>) {
        let (mut map, mut tables) = (Map::new(), BTreeSet::new());
        self.collect(self.root, self.levels, 0, &mut map, &mut tables);
        (map, tables)
    }

    fn collect(&self, table: u64, level: usize, page: u64, map: &mut Map, tables: &mut BTreeSet<u64>) {
        assert!(tables.insert(table), "the table in frame {table:#x} is there twice");
        let bytes = self.machine.peek(Pfn::new(table).unwrap());
        for (index, entry) in bytes.chunks(Self::SIZE).enumerate() {
            let mut word = [0; 8];
            word[..Self::SIZE].copy_from_slice(entry);
            let entry = u64::from_le_bytes(word);
            let page = page + ((index as u64) << (Self::BITS * (level as u32 - 1)));
            if entry & 1 == 0 {
                assert_eq!(entry, 0, "something is left of an entry of level {level}");
            } else if level == 1 || entry & 0x80 != 0 {
                let mut flags = Flags::READ;
                let bits = [
                    (1, Flags::WRITABLE),
                    (2, Flags::USER),
                    (5, Flags::ACCESSED),
                    (6, Flags::DIRTY),
                    (8, Flags::GLOBAL),
                    (63, Flags::NO_EXECUTE),
                ];
                for (_, flag) in bits.into_iter().filter(|(bit, _)| entry >> bit & 1 != 0) {
                    flags = flags | flag;
                }
                map.insert(page, (level, Self::frame(entry), flags));
            } else {
                self.collect(Self::frame(entry), level - 1, page, map, tables);
            }
        }
    }

    /// Sets bits of the entry that maps a page, if one does.
    fn set_bits(&self, page: u64, bits: u64) -> bool {
        let (table, index, _) = self.find(page);
        let entry = self.entry(table, index);
        if entry & 1 != 0 {
            self.set_entry(table, index, entry | bits);
        }
        entry & 1 != 0
    }

    /// The bytes of all tables, and of the frames that `out` names.
    fn bytes(&self, out: &BTreeMap<usize, highmem::model::SharedFrame<P>>) -> BTreeMap<usize, Vec<u8>> {
        out.keys().map(|&pfn| (pfn, self.machine.peek(Pfn::new(pfn as u64).unwrap()).to_vec())).collect()
    }
}

const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;

/// What an operation is to do.
#[derive(Clone, Copy, Debug)]
enum Op {
    Map { page: u64, level: usize, frame: u64, flags: u8 },
    MapPages { page: u64, count: u64, frame: u64, flags: u8 },
    Unmap { page: u64, count: u64 },
    Protect { page: u64, count: u64, flags: u8 },
    Restrict { page: u64, count: u64, flags: u8 },
    Split { page: u64, count: u64 },
    Touch { page: u64, bits: u64 },
}

/// The same in each mode: places are turned into pages later.
#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    place: (u8, u8, u8),
    level: usize,
    length: u8,
    frame: u8,
    flags: u8,
    /// How many tables there are.
    left: usize,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = (0_u8..3, 0_u8..5, 0_u8..5);
    let left = prop_oneof![3 => Just(usize::MAX), 1 => 0_usize..5];
    let level = prop_oneof![4 => Just(1_usize), 3 => Just(2), 2 => Just(3)];
    let step = (0_u8..10, place, level, 0_u8..8, 0_u8..4, any::<u8>(), left).prop_map(
        |(kind, place, level, length, frame, flags, left)| Step { kind, place, level, length, frame, flags, left },
    );
    proptest::collection::vec(step, 1..40)
}

fn flags_of<P: Paging>(bits: u8) -> Flags {
    let no_execute = if P::PAE { Flags::NO_EXECUTE } else { Flags::READ };
    let all = [Flags::WRITABLE, Flags::USER, Flags::GLOBAL, no_execute];
    let chosen = all.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 != 0);
    chosen.fold(Flags::READ, |flags, (_, flag)| flags | flag)
}

impl Step {
    fn op<P: Paging>(&self, layout: Layout<P>) -> Op {
        let entries = P::ENTRIES_PER_TABLE as u64;
        let near = |place: u8| [0, 1, 2, entries - 2, entries - 1][usize::from(place)];
        let (high, middle, low) = self.place;
        // Without PAE there are 1024 pages of 4 MiB and nothing above.
        let above =
            if layout.levels() > 2 { u64::from(high) * entries * entries } else { u64::from(high) * 8 * entries };
        let middle = if layout.levels() > 2 { near(middle) } else { u64::from(middle) };
        let page = above + middle * entries + near(low);
        let lengths = [1, 2, 3, entries, entries + 1, 3 * entries, entries * entries, 0];
        let most = 3 * entries * entries + 3;
        let count = lengths[usize::from(self.length)].min(if layout.levels() > 2 { most } else { 32 * entries });
        match self.kind {
            0 if self.flags & 32 != 0 => {
                let count = count.min(entries + 1);
                Op::MapPages { page, count, frame: u64::from(self.frame), flags: self.flags }
            }
            0..4 => {
                let level = self.level.min(layout.largest() as usize + 1);
                let pages = entries.pow(level as u32 - 1);
                Op::Map { page: page / pages * pages, level, frame: u64::from(self.frame) * pages, flags: self.flags }
            }
            4 | 5 => Op::Unmap { page, count },
            6 if self.flags & 16 == 0 => Op::Restrict { page, count, flags: self.flags },
            6 => Op::Protect { page, count, flags: self.flags },
            7 => Op::Split { page, count },
            _ => Op::Touch { page, bits: if self.flags & 1 != 0 { ACCESSED } else { ACCESSED | DIRTY } },
        }
    }
}

/// What a plain map knows: the reference.
#[derive(Clone, Debug)]
struct Reference {
    map: Map,
    entries: u64,
    levels: usize,
}

impl Reference {
    fn pages(&self, level: usize) -> u64 {
        self.entries.pow(level as u32 - 1)
    }

    fn overlapping(&self, pages: &Range<u64>) -> Vec<u64> {
        let overlaps = |&(&page, &(level, ..)): &(&u64, &(usize, u64, Flags))| page + self.pages(level) > pages.start;
        if pages.is_empty() {
            return vec![];
        }
        self.map.range(..pages.end).filter(overlaps).map(|(&page, _)| page).collect()
    }

    /// How many tables there are below the top.
    fn tables(&self) -> usize {
        let of_level = |level: usize| {
            let below = self.map.iter().filter(|(_, (of, ..))| *of <= level);
            below.map(|(page, _)| page / self.pages(level + 1)).collect::<BTreeSet<_>>().len()
        };
        (1..self.levels).map(of_level).sum()
    }

    fn split(&mut self, page: u64) {
        let (level, frame, flags) = self.map.remove(&page).unwrap();
        let part = self.pages(level - 1);
        for index in 0..self.entries {
            self.map.insert(page + index * part, (level - 1, frame + index * part, flags));
        }
    }

    fn split_ends(&mut self, pages: &Range<u64>) {
        for end in [pages.start, pages.end] {
            if pages.is_empty() {
                return;
            }
            while let Some((&page, &(level, ..))) = self.map.range(..end).next_back()
                && page + self.pages(level) > end
            {
                self.split(page);
            }
        }
    }
}

/// What is translated otherwise now, or not at all: pages with what they were.
fn changed(before: &Reference, after: &Reference) -> Vec<(u64, u64)> {
    let gone = before.map.iter().filter(|(page, leaf)| after.map.get(page) != Some(leaf));
    gone.map(|(&page, &(level, ..))| (page, before.pages(level))).collect()
}

/// What the tests of one address space have.
struct Bench<'m, P: Paging> {
    machine: &'m Model<P>,
    stock: Stock<'m, P>,
    space: Space<P>,
}

/// All pages of a layout, but for the second half of 64-bit mode.
fn everything<P: Paging>(layout: Layout<P>) -> Pages {
    let bits = if P::LONG_MODE { 9 * layout.levels() - 1 } else { 20 };
    Pages::new(0, 1 << bits)
}

impl<'m, P: Paging> Bench<'m, P> {
    fn new(machine: &'m Model<P>, layout: Layout<P>, task: &mut Task<'_, K<P>>) -> Self {
        let mut stock = Stock::new(machine);
        let root = stock.take().unwrap();
        let space = Space::new(task.atomic().slots().pte0, root, everything(layout), layout).unwrap();
        Self { machine, stock, space }
    }

    fn walker(&self) -> Walker<'m, P> {
        let (root, levels) = (self.space.root().number() as u64, self.space.layout().levels());
        Walker { machine: self.machine, root, levels }
    }

    /// Edits, and says how many mappings that took.
    fn edit<R>(&mut self, task: &mut Task<'_, K<P>>, edit: impl FnOnce(&mut Edit<'_, '_, 'm, P>) -> R) -> (R, usize) {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut editor = self.space.edit(slots.pte0, slots.pte1, &mut self.stock);
        let (result, counts) = self.machine.cpu(0).count(|| edit(&mut editor));
        // Each mapping ends with one.
        (result, counts.invlpg)
    }

    /// Maps a page, and flushes.
    fn map(&mut self, task: &mut Task<'_, K<P>>, page: u64, level: usize, frame: u64, flags: Flags) {
        // SAFETY: nobody uses the address space.
        let flush = self.edit(task, |edit| unsafe { edit.map(at(page), pfn(frame), size(level), flags) }).0.unwrap();
        self.flush(task, flush);
    }

    fn flush(&mut self, task: &mut Task<'_, K<P>>, flush: Flush<P>) {
        flush.flush(task.atomic().slots().pte0, &mut self.stock);
    }

    fn unmap(&mut self, task: &mut Task<'_, K<P>>, pages: Pages) -> (Vec<Leaf<P>>, Flush<P>, usize) {
        let mut gone = vec![];
        let (flush, mappings) = self.edit(task, |edit| edit.unmap(pages, |leaf| gone.push(leaf.unwrap())));
        (gone, flush.unwrap(), mappings)
    }

    /// All tables are in the tree, and nothing is mapped.
    fn check(&self) {
        let (_, tables) = self.walker().all();
        let out: BTreeSet<u64> = self.stock.out.keys().map(|&pfn| pfn as u64).collect();
        assert_eq!(tables, out, "a table is lost, or in use and free");
        assert_eq!(debug::mappings::<K<P>>().count(), 0, "a slot is not empty");
    }
}

fn at(page: u64) -> usize {
    (page as usize) * PAGE_SIZE
}

fn pfn<P: Paging>(number: u64) -> Pfn<P> {
    Pfn::new(number).unwrap()
}

fn size(level: usize) -> PageSize {
    [PageSize::Small, PageSize::Large, PageSize::Huge][level - 1]
}

fn pages(pages: &Range<u64>) -> Pages {
    Pages::new(at(pages.start), (pages.end - pages.start) as usize)
}

/// Runs a program, and compares what it does with the reference after each step.
fn run_program<P: Paging>(machine: &Model<P>, layout: Layout<P>, steps: &[Step]) {
    machine.cpu(0).task(|task| {
        let mut bench = Bench::new(machine, layout, task);
        let entries = P::ENTRIES_PER_TABLE as u64;
        let mut reference = Reference { map: Map::new(), entries, levels: layout.levels() };
        for step in steps {
            let op = step.op::<P>(layout);
            run_step(&mut bench, task, &mut reference, op, step.left);
            let (map, _) = bench.walker().all();
            assert_eq!(map, reference.map, "after {op:x?}");
            bench.check();
        }
        let (_, flush, _) = bench.unmap(task, everything(layout));
        bench.flush(task, flush);
        assert_eq!(bench.stock.out.len(), 1, "a table is left");
    });
}

fn run_step<P: Paging>(
    bench: &mut Bench<'_, P>,
    task: &mut Task<'_, K<P>>,
    reference: &mut Reference,
    op: Op,
    left: usize,
) {
    let before = reference.clone();
    let mut after = reference.clone();
    let was_out = bench.stock.out.len();
    bench.stock.left = left;
    let levels = before.levels;
    let result = match op {
        Op::Map { page, level, frame, flags } => {
            let range = page..page + before.pages(level);
            let flags = flags_of::<P>(flags);
            after.map.insert(page, (level, frame, flags));
            let needed = after.tables().saturating_sub(before.tables());
            // SAFETY: nobody uses the address space.
            let (result, mappings) =
                bench.edit(task, |edit| unsafe { edit.map(at(page), pfn(frame), size(level), flags) });
            if let Some(&other) = before.overlapping(&range).first() {
                after = before.clone();
                match result {
                    Err(Error::AlreadyMapped { address, size }) => {
                        assert_eq!((address, size as usize + 1), (at(other), before.map[&other].0));
                    }
                    Err(Error::TableInTheWay { address }) => {
                        assert!(address == at(page) && before.map[&other].0 < level);
                    }
                    _ => panic!("{result:?}"),
                }
                None
            } else if needed > left {
                after = before.clone();
                assert!(matches!(result, Err(Error::NoFrame)), "{result:?}");
                None
            } else {
                assert_eq!(mappings, levels - level + 1, "one for each level");
                Some(result.unwrap())
            }
        }
        Op::MapPages { page, count, frame, flags } => {
            let range = page..page + count;
            let flags = flags_of::<P>(flags);
            after.map.extend((0..count).map(|number| (page + number, (1, frame + 3 * number, flags))));
            let needed = after.tables().saturating_sub(before.tables());
            let frames: Vec<Pfn<P>> = (0..count).map(|number| pfn(frame + 3 * number)).collect();
            // SAFETY: nobody uses the address space.
            let (result, mappings) = bench.edit(task, |edit| unsafe { edit.map_pages(at(page), &frames, flags) });
            if page % before.entries + count > before.entries {
                after = before.clone();
                assert!(matches!(result, Err(Error::AcrossTables { .. })), "{result:?}");
                None
            } else if let Some(&other) = before.overlapping(&range).first() {
                after = before.clone();
                let size = size(before.map[&other].0);
                assert_eq!(result.unwrap_err(), Error::AlreadyMapped { address: at(other), size });
                None
            } else if needed > left {
                after = before.clone();
                assert!(matches!(result, Err(Error::NoFrame)), "{result:?}");
                None
            } else {
                assert_eq!(mappings, if count == 0 { 0 } else { levels }, "one for each level");
                Some(result.unwrap())
            }
        }
        Op::Unmap { page, count }
        | Op::Protect { page, count, .. }
        | Op::Restrict { page, count, .. }
        | Op::Split { page, count } => {
            let range = page..page + count;
            after.split_ends(&range);
            let needed = after.tables().saturating_sub(before.tables());
            let split = after.clone();
            let (result, gone) = match op {
                Op::Unmap { .. } => {
                    let mut gone = vec![];
                    after.map.retain(|page, _| !range.contains(page));
                    let (result, _) =
                        bench.edit(task, |edit| edit.unmap(pages(&range), |leaf| gone.push(leaf.unwrap())));
                    (result, Some(gone))
                }
                Op::Protect { flags, .. } => {
                    let new = flags_of::<P>(flags);
                    for (_, (.., flags)) in after.map.range_mut(range.clone()) {
                        let kept = [Flags::ACCESSED, Flags::DIRTY].into_iter().filter(|&bit| flags.contains(bit));
                        *flags = kept.fold(new, |flags, bit| flags | bit);
                    }
                    // SAFETY: nobody uses the address space.
                    (bench.edit(task, |edit| unsafe { edit.protect(pages(&range), |_| new) }).0, None)
                }
                Op::Restrict { flags, .. } => {
                    let wanted = flags_of::<P>(flags);
                    for (_, (.., flags)) in after.map.range_mut(range.clone()) {
                        for right in [Flags::WRITABLE, Flags::USER].into_iter().filter(|&right| !wanted.contains(right))
                        {
                            *flags = flags.without(right);
                        }
                        if wanted.contains(Flags::NO_EXECUTE) {
                            *flags = *flags | Flags::NO_EXECUTE;
                        }
                    }
                    (bench.edit(task, |edit| edit.restrict(pages(&range), |_| wanted)).0, None)
                }
                _ => (bench.edit(task, |edit| edit.split(pages(&range))).0, None),
            };
            if needed > left {
                after = before.clone();
                assert!(matches!(result, Err(Error::NoFrame)), "{result:?}");
                assert!(gone.unwrap_or_default().is_empty());
                None
            } else {
                for (leaf, (&page, &(level, frame, flags))) in gone.iter().flatten().zip(split.map.range(range.clone()))
                {
                    let expected = Leaf { address: at(page), pfn: pfn(frame), size: size(level), flags };
                    assert_eq!(*leaf, expected);
                }
                assert_eq!(
                    gone.map_or(0, |gone| gone.len()),
                    if matches!(op, Op::Unmap { .. }) { split.map.range(range).count() } else { 0 }
                );
                Some(result.unwrap())
            }
        }
        Op::Touch { page, bits } => {
            if let Some(&first) = before.overlapping(&(page..page + 1)).first() {
                assert!(bench.walker().set_bits(page, bits));
                let flags = &mut after.map.get_mut(&first).unwrap().2;
                *flags = *flags | Flags::ACCESSED;
                if bits & DIRTY != 0 {
                    *flags = *flags | Flags::DIRTY;
                }
            }
            None
        }
    };
    match result {
        None => assert_eq!(bench.stock.out.len(), was_out, "a table was taken, or given back, for nothing"),
        Some(flush) => {
            let scope = *flush.scope();
            let is_covered = |page: u64| {
                let address = at(page);
                let within = |range: Pages| address.wrapping_sub(range.start) / PAGE_SIZE < range.count;
                scope.is_whole() || scope.ranges().any(within)
            };
            let changed = changed(&before, &after);
            for &(page, count) in &changed {
                assert!(is_covered(page) && is_covered(page + count - 1), "page {page:#x} is not flushed: {scope:x?}");
            }
            // The four top-level entries of PAE are loaded with CR3.
            let tops = |reference: &Reference| {
                let pages = reference.map.keys();
                pages.map(|page| page / reference.pages(levels)).collect::<BTreeSet<_>>()
            };
            let loads_cr3 = !P::LONG_MODE && P::PAE && tops(&before) != tops(&after);
            assert_eq!(scope.is_whole(), loads_cr3, "{op:x?}");
            assert_eq!(scope.is_nothing(), changed.is_empty() && !loads_cr3, "{op:x?}: {scope:x?}");
            assert_eq!(
                bench.stock.out.len(),
                1 + after.tables() + flush.tables(),
                "tables were given back before the flush"
            );
            assert_eq!(scope.frees_tables(), flush.tables() > 0);
            bench.stock.left = usize::MAX;
            bench.flush(task, flush);
        }
    }
    // What is translated is what the reference has.
    let page = match op {
        Op::Map { page, .. }
        | Op::MapPages { page, .. }
        | Op::Unmap { page, .. }
        | Op::Protect { page, .. }
        | Op::Restrict { page, .. }
        | Op::Split { page, .. }
        | Op::Touch { page, .. } => page,
    };
    let address = at(page) + 0x123;
    let (found, mappings) = bench.edit(task, |edit| edit.translate(address).unwrap());
    let expected = after.overlapping(&(page..page + 1)).first().map(|first| (*first, after.map[first]));
    assert!(mappings <= levels);
    match (found, expected) {
        (None, None) => {}
        (Some(leaf), Some((first, (level, frame, flags)))) => {
            let expected = Leaf { address: at(first), pfn: pfn(frame), size: size(level), flags };
            assert_eq!(leaf, expected);
            assert_eq!(leaf.physical_address(address), Some((frame + page - first) * 4096 + 0x123));
        }
        (found, expected) => panic!("{found:?} instead of {expected:?}"),
    }
    *reference = after;
}

fn programs_do_what_the_reference_says<P: Paging>() {
    let machine = machine::<P>();
    for layout in layouts::<P>() {
        let runs = Runs { cases: 96, failure_persistence: None, ..Runs::default() };
        let mut runner = TestRunner::new_with_rng(runs, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        runner
            .run(&steps(), |steps| {
                run_program(&machine, layout, &steps);
                Ok(())
            })
            .unwrap();
    }
}

fn frames_that_run_out_leave_nothing_behind<P: Paging>() {
    let machine = machine::<P>();
    for layout in layouts::<P>() {
        machine.cpu(0).task(|task| {
            let mut bench = Bench::new(&machine, layout, task);
            let entries = P::ENTRIES_PER_TABLE as u64;
            bench.map(task, 0, 2, entries, Flags::WRITABLE);
            let before = bench.walker().bytes(&bench.stock.out);
            let (free, taken) = (machine.allocated(), bench.stock.out.len());
            // In the last table of all: none of those on the way is there, but the top.
            let last = everything(layout).count as u64 - 1;
            for left in 0..layout.levels() - 1 {
                bench.stock.left = left;
                // SAFETY: nobody uses the address space.
                let map = |edit: &mut Edit<'_, '_, '_, P>| unsafe { edit.map(at(last), pfn(1), size(1), Flags::READ) };
                assert!(matches!(bench.edit(task, map).0, Err(Error::NoFrame)));
                assert_eq!(bench.stock.left, left, "what was taken is back");
            }
            bench.stock.left = 0;
            let part = Pages::new(PAGE_SIZE, 1);
            assert!(matches!(bench.edit(task, |edit| edit.unmap(part, |_| ())).0, Err(Error::NoFrame)));
            assert!(matches!(bench.edit(task, |edit| edit.restrict(part, |_| Flags::READ)).0, Err(Error::NoFrame)));
            assert!(matches!(bench.edit(task, |edit| edit.split(part)).0, Err(Error::NoFrame)));
            assert_eq!(bench.walker().bytes(&bench.stock.out), before);
            assert_eq!((machine.allocated(), bench.stock.out.len()), (free, taken));
            bench.stock.left = usize::MAX;
            bench.map(task, last, 1, 1, Flags::READ);
            bench.check();
        });
    }
}

/// What is wrong with an entry of a table of this level, and how it gets so; as far as a mode has it.
fn corruptions<P: Paging>(layout: Layout<P>, level: usize, entry: u64) -> Vec<(u64, Wrong)> {
    let mut wrong = vec![];
    if level > 1 {
        // Memory ends at 64 MiB.
        wrong.push((entry & 0xfff | 0x8000 << 12, Wrong::NoTable));
        wrong.push((entry & 0xfff | 0x4000 << 12, Wrong::NoTable));
    }
    match (P::PAE, P::LONG_MODE) {
        (false, _) if level == 2 => wrong.extend([13, 21].map(|bit| (entry | 0x80 | 1 << bit, Wrong::ReservedBit))),
        (false, _) => {}
        (true, false) => {
            wrong.extend([40, 51, 52, 62].map(|bit| (entry | 1 << bit, Wrong::ReservedBit)));
            if level == 3 {
                // Not 5: QEMU sets the accessed bit here, too.
                wrong.extend([1, 2, 6, 7, 8, 63].map(|bit| (entry | 1 << bit, Wrong::ReservedBit)));
            }
        }
        (true, true) => {
            wrong.extend([40, 51].map(|bit| (entry | 1 << bit, Wrong::ReservedBit)));
            if level > layout.largest() as usize + 1 {
                wrong.push((entry | 0x80, Wrong::ReservedBit));
            }
        }
    }
    wrong
}

fn what_is_corrupt_is_an_error_and_stays<P: Paging>() {
    let machine = machine::<P>();
    for layout in layouts::<P>() {
        let layout = if P::PAE { layout.physical_address_bits(40).unwrap() } else { layout };
        machine.cpu(0).task(|task| {
            let mut bench = Bench::new(&machine, layout, task);
            let entries = P::ENTRIES_PER_TABLE as u64;
            // Another range of the same tables, one page table further, and as far as there are two directories.
            let far = if layout.levels() > 2 { entries * entries } else { 2 * entries };
            for page in [0, 1, entries, far] {
                bench.map(task, page, 1, page + 7, Flags::WRITABLE | Flags::USER);
            }
            for level in 1..=layout.levels() {
                let walker = bench.walker();
                let mut table = walker.root;
                for above in (level + 1..=layout.levels()).rev() {
                    table = Walker::<P>::frame(walker.entry(table, Walker::<P>::index(above, 0)));
                }
                let good = walker.entry(table, 0);
                for (bad, wrong) in corruptions(layout, level, good) {
                    walker.set_entry(table, 0, bad);
                    is_an_error_and_stays(&mut bench, task, Corrupt { address: 0, level, entry: bad, wrong }, far);
                    walker.set_entry(table, 0, good);
                }
            }
            // Nothing is split, either, if something between the ends is corrupt.
            bench.map(task, 4 * entries, 2, 0, Flags::WRITABLE);
            bench.map(task, 5 * entries, 1, 5, Flags::WRITABLE);
            let walker = bench.walker();
            let (mut table, mut level) = (walker.root, layout.levels());
            while level > 2 {
                table = Walker::<P>::frame(walker.entry(table, Walker::<P>::index(level, 0)));
                level -= 1;
            }
            let good = walker.entry(table, 5);
            walker.set_entry(table, 5, 0x4000 << 12 | 7);
            let before = walker.bytes(&bench.stock.out);
            let range = pages(&(4 * entries + 1..6 * entries + 1));
            let (refused, _) = bench.edit(task, |edit| edit.unmap(range, |_| panic!("something is gone")));
            assert!(matches!(refused, Err(Error::Corrupt(Corrupt { level: 2, .. }))));
            assert_eq!(walker.bytes(&bench.stock.out), before);
            walker.set_entry(table, 5, good);

            // What is corrupt in a page table can be removed.
            let walker = bench.walker();
            let (table, index, _) = walker.find(0);
            for (bad, wrong) in corruptions(layout, 1, walker.entry(table, index)) {
                walker.set_entry(table, index, bad);
                let mut gone = vec![];
                let flush = bench.edit(task, |edit| edit.unmap(Pages::one(0), |leaf| gone.push(leaf))).0.unwrap();
                assert_eq!(gone, [Err(Corrupt { address: 0, level: 1, entry: bad, wrong })]);
                assert!(!flush.scope().is_nothing());
                bench.flush(task, flush);
                assert_eq!(walker.entry(table, index), 0);
            }
            let (_, flush, _) = bench.unmap(task, everything(layout));
            bench.flush(task, flush);
            assert_eq!(bench.stock.out.len(), 1);
        });
    }
}

/// Each operation that comes to this entry, which is on the way to page 0, says so, and has changed nothing.
fn is_an_error_and_stays<P: Paging>(bench: &mut Bench<'_, P>, task: &mut Task<'_, K<P>>, corrupt: Corrupt, far: u64) {
    let before = bench.walker().bytes(&bench.stock.out);
    let expected = Error::Corrupt(corrupt);
    assert_eq!(bench.edit(task, |edit| edit.translate(0)).0, Err(expected));
    // SAFETY: nobody uses the address space.
    let mapped = bench.edit(task, |edit| unsafe { edit.map(0, pfn(1), PageSize::Small, Flags::READ) }).0;
    assert_eq!(mapped.unwrap_err(), expected);
    {
        let mut atomic = task.atomic();
        let entry = bench.space.entry(atomic.slots().pte0, 0);
        match entry {
            Ok(entry) => assert_eq!((entry.leaf(), corrupt.level), (Err(corrupt), 1)),
            Err(error) => assert_eq!(error, expected),
        }
    }
    if corrupt.level > 1 {
        let entries = P::ENTRIES_PER_TABLE as u64;
        for range in [0..1, 0..2, 0..entries + 1, 0..far + 1] {
            let pages = pages(&range);
            let unmapped = bench.edit(task, |edit| edit.unmap(pages, |_| panic!("something is gone"))).0;
            assert_eq!(unmapped.unwrap_err(), expected, "{range:?}");
            let protected = bench.edit(task, |edit| edit.restrict(pages, |_| panic!("something is changed"))).0;
            assert_eq!(protected.unwrap_err(), expected);
            assert_eq!(bench.edit(task, |edit| edit.split(pages)).0.unwrap_err(), expected);
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            let seen = bench.space.visit(slots.pte0, slots.pte1, pages, |_| panic!("something is seen"));
            assert_eq!(seen.unwrap_err(), expected);
        }
    }
    assert_eq!(bench.walker().bytes(&bench.stock.out), before);
}

fn addresses_and_frames_that_cannot_be_are_errors<P: Paging>() {
    let machine = machine::<P>();
    for layout in layouts::<P>() {
        machine.cpu(0).task(|task| {
            let mut stock = Stock::new(&machine);
            let entries = P::ENTRIES_PER_TABLE;
            let large = entries * PAGE_SIZE;
            let root = stock.take().unwrap();
            let span = Pages::new(large, 2 * entries);
            let mut space = Space::new(task.atomic().slots().pte0, root, span, layout).unwrap();
            assert_eq!(space.span(), span);
            let before = machine.peek(space.root()).to_vec();
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            let mut edit = space.edit(slots.pte0, slots.pte1, &mut stock);
            let mut map = |address: usize, number: u64, size: PageSize| {
                // SAFETY: nobody uses the address space.
                unsafe { edit.map(address, pfn(number), size, Flags::READ) }.unwrap_err()
            };
            let outside = [large - PAGE_SIZE, 3 * large, 0];
            for address in outside {
                assert_eq!(map(address, 1, PageSize::Small), Error::OutsideOfSpace { address });
            }
            let beyond = if P::LONG_MODE { 1 << (9 * layout.levels() + 11) } else { 1 << 32 };
            assert_eq!(map(beyond, 1, PageSize::Small), Error::NotCanonical { address: beyond });
            assert_eq!(map(large + 1, 1, PageSize::Small), Error::Misaligned { address: large + 1, align: PAGE_SIZE });
            let address = large + PAGE_SIZE;
            assert_eq!(map(address, 0, PageSize::Large), Error::Misaligned { address, align: large });
            assert_eq!(map(large, 1, PageSize::Large), Error::MisalignedFrame { pfn: 1 });
            if layout.largest() == PageSize::Large {
                assert_eq!(map(0, 0, PageSize::Huge), Error::NoSuchSize { size: PageSize::Huge });
            }
            assert_eq!(edit.translate(beyond).unwrap_err(), Error::NotCanonical { address: beyond });
            assert_eq!(edit.translate(3 * large).unwrap_err(), Error::OutsideOfSpace { address: 3 * large });
            let unmap = |edit: &mut Edit<'_, '_, '_, P>, start, count| {
                edit.unmap(Pages::new(start, count), |_| ()).unwrap_err()
            };
            assert_eq!(unmap(&mut edit, large, 2 * entries + 1), Error::OutsideOfSpace { address: 3 * large });
            assert_eq!(unmap(&mut edit, 0, entries + 1), Error::OutsideOfSpace { address: 0 });
            let misaligned = Error::Misaligned { address: large + 8, align: PAGE_SIZE };
            assert_eq!(unmap(&mut edit, large + 8, 1), misaligned);
            assert_eq!(unmap(&mut edit, large, usize::MAX / PAGE_SIZE), Error::NotCanonical { address: beyond });
            assert_eq!(unmap(&mut edit, large, usize::MAX), Error::NotCanonical { address: beyond });
            // No pages are none of any.
            let flush = edit.unmap(Pages::new(large, 0), |_| ()).unwrap();
            assert!(flush.scope().is_nothing());
            edit.flush(flush);
            assert_eq!(machine.peek(space.root()).to_vec(), before);

            // A processor with fewer address bits.
            let few = layout.physical_address_bits(30).unwrap();
            let root = stock.take().unwrap();
            let mut space = Space::new(atomic.slots().pte0, root, everything(few), few).unwrap();
            let slots = atomic.slots();
            let mut edit = space.edit(slots.pte0, slots.pte1, &mut stock);
            // SAFETY: nobody uses the address space.
            let mut map = |number, size| unsafe { edit.map(0, pfn(number), size, Flags::READ) };
            assert_eq!(map(1 << 18, PageSize::Small).unwrap_err(), Error::OutOfReach { pfn: 1 << 18 });
            assert_eq!(map(1 << 18, PageSize::Large).unwrap_err(), Error::OutOfReach { pfn: 1 << 18 });
            let flush = map((1 << 18) - 1, PageSize::Small).unwrap();
            edit.flush(flush);
        });
    }
    // SAFETY: the frame exists only as a number.
    let high = || unsafe { SharedFrame::<P>::from_pfn(pfn((1 << 20) - u64::from(!P::PAE))) };
    machine.cpu(0).task(|task| {
        let span = Pages::new(0, 1);
        // Without PAE, there is no such frame; with it, CR3 cannot have it; in 64-bit mode it can.
        // SAFETY: no table is looked at.
        let adopted = unsafe { Space::<P>::adopt(high(), span, Layout::new()) };
        assert_eq!(adopted.is_err(), P::PAE && !P::LONG_MODE);
        let misaligned = Pages::new(1, 1);
        let rejected = Space::<P>::new(task.atomic().slots().pte0, high(), misaligned, Layout::new()).unwrap_err();
        assert_eq!((rejected.why, rejected.frame), (Error::Misaligned { address: 1, align: PAGE_SIZE }, high()));
    });
    assert!(Layout::<P>::new().with_levels(1).is_err() && Layout::<P>::new().with_levels(6).is_err());
    assert_eq!(Layout::<P>::new().with_levels(5).is_err(), !P::LONG_MODE);
    assert_eq!(Layout::<P>::new().with_largest(PageSize::Huge).is_err(), !P::LONG_MODE);
}

fn bits_of_the_processor_are_not_lost_at_any_step<P: Paging>() {
    let machine = machine::<P>();
    let cpu = machine.cpu(0);
    let entries = P::ENTRIES_PER_TABLE as u64;
    cpu.task(|task| {
        let mut bench = Bench::new(&machine, Layout::new(), task);
        // The second keeps the table.
        bench.map(task, 1, 1, 9, Flags::READ);
        let walker = bench.walker();
        let is_set = AtomicBool::new(false);
        let processor =
            |page: u64| is_set.store(walker.set_bits(page, ACCESSED | DIRTY) | is_set.load(Relaxed), Relaxed);
        let is_dirty = |page: u64| walker.all().0.get(&page).is_some_and(|(.., flags)| flags.contains(Flags::DIRTY));

        let remapped = |bench: &mut Bench<'_, P>, task: &mut Task<'_, K<P>>, level: usize| {
            let page = if level == 1 { 0 } else { entries };
            let (_, flush, _) = bench.unmap(task, Pages::new(at(page), if level == 1 { 1 } else { entries as usize }));
            bench.flush(task, flush);
            bench.map(task, page, level, 0, Flags::WRITABLE);
            is_set.store(false, Relaxed);
        };

        let mut steps = 0;
        for at_step in 0.. {
            remapped(&mut bench, task, 1);
            let mut gone = (vec![], None);
            let mut run = || {
                let (leaves, flush, _) = bench.unmap(task, Pages::one(0));
                gone = (leaves, Some(flush));
            };
            let mut came = false;
            cpu.interrupt_at(
                at_step,
                |_| {
                    came = true;
                    processor(0)
                },
                &mut run,
            );
            assert!(came);
            let (leaves, flush) = gone;
            assert_eq!(leaves[0].flags.contains(Flags::DIRTY), is_set.load(Relaxed), "unmap, step {at_step}");
            bench.flush(task, flush.unwrap());
            steps += usize::from(is_set.load(Relaxed));
            if !is_set.load(Relaxed) {
                break;
            }
        }
        assert!(steps > 5, "the processor came before the entry was gone");

        for at_step in 0..300 {
            remapped(&mut bench, task, 1);
            let mut flushes = vec![];
            cpu.interrupt_at(
                at_step,
                |_| processor(0),
                || {
                    // SAFETY: nobody uses the address space.
                    let flush = bench.edit(task, |edit| unsafe { edit.protect(Pages::one(0), |_| Flags::USER) }).0;
                    flushes.push(flush.unwrap());
                },
            );
            assert!(is_set.load(Relaxed) && is_dirty(0), "protect, step {at_step}");
            flushes.into_iter().for_each(|flush| bench.flush(task, flush));
        }

        for at_step in 0..300 {
            remapped(&mut bench, task, 1);
            let mut found = (false, None);
            cpu.interrupt_at(
                at_step,
                |_| processor(0),
                || {
                    let mut atomic = task.atomic();
                    let entry = bench.space.entry(atomic.slots().pte0, 0).unwrap();
                    let (was_dirty, flush) = entry.test_and_clear_dirty();
                    found = (was_dirty, Some(flush));
                },
            );
            assert!(is_set.load(Relaxed) && found.0 != is_dirty(0), "test and clear, step {at_step}: once");
            bench.flush(task, found.1.unwrap());
        }

        for at_step in 0..400 {
            remapped(&mut bench, task, 2);
            let mut flushes = vec![];
            cpu.interrupt_at(
                at_step,
                |_| processor(entries + 3),
                || {
                    let flush = bench.edit(task, |edit| edit.split(Pages::new(at(entries + 2), 3))).0;
                    flushes.push(flush.unwrap());
                },
            );
            assert!(is_set.load(Relaxed) && is_dirty(entries + 3), "split, step {at_step}");
            flushes.into_iter().for_each(|flush| bench.flush(task, flush));
            bench.check();
        }
    });
}

fn page_walkers_see_whole_changes_at_any_step<P: Paging>() {
    let machine = machine::<P>();
    let cpu = machine.cpu(0);
    for layout in layouts::<P>() {
        cpu.task(|task| {
            let mut bench = Bench::new(&machine, layout, task);
            let entries = P::ENTRIES_PER_TABLE as u64;
            bench.map(task, 2 * entries, 2, 0, Flags::WRITABLE);
            let walker = bench.walker();
            let last = everything(layout).count as u64 - 1;
            // What each page of 4 KiB is translated to, however large the entry is.
            let frames = || {
                let (map, _) = walker.all();
                let parts = |(page, (level, frame, flags)): (u64, (usize, u64, Flags))| {
                    (0..entries.pow(level as u32 - 1)).map(move |part| (page + part, (frame + part, flags)))
                };
                map.into_iter().flat_map(parts).collect::<BTreeMap<_, _>>()
            };
            let without = frames();
            let mut with = without.clone();
            with.insert(last, (5, Flags::READ));

            for at_step in 0.. {
                let (mut seen, mut flush) = (BTreeMap::new(), None);
                // SAFETY: nobody uses the address space.
                let map = |edit: &mut Edit<'_, '_, '_, P>| unsafe { edit.map(at(last), pfn(5), size(1), Flags::READ) };
                cpu.interrupt_at(at_step, |_| seen = frames(), || flush = Some(bench.edit(task, map).0.unwrap()));
                bench.flush(task, flush.unwrap());
                assert!(seen == without || seen == with, "map, step {at_step}");
                let is_done = seen == with;

                let (mut seen, mut flush) = (BTreeMap::new(), None);
                let pages = Pages::one(at(last));
                cpu.interrupt_at(at_step, |_| seen = frames(), || flush = Some(bench.unmap(task, pages).1));
                bench.flush(task, flush.unwrap());
                assert!(seen == without || seen == with, "unmap, step {at_step}");

                if is_done && seen == without {
                    break;
                }
            }
            for at_step in (0..200).step_by(3) {
                let (mut seen, mut flush) = (BTreeMap::new(), None);
                let pages = Pages::new(at(2 * entries + 7), 2);
                cpu.interrupt_at(
                    at_step,
                    |_| seen = frames(),
                    || flush = Some(bench.edit(task, |edit| edit.split(pages)).0.unwrap()),
                );
                bench.flush(task, flush.unwrap());
                assert!(seen == without, "split, step {at_step}");
                let (_, flush, _) = bench.unmap(task, Pages::new(at(2 * entries), entries as usize));
                bench.flush(task, flush);
                bench.map(task, 2 * entries, 2, 0, Flags::WRITABLE);
            }
        });
    }
}

fn a_bit_is_cleared_by_one_cpu<P: Paging>() {
    let machine = machine::<P>();
    let mut bench = machine.cpu(0).task(|task| {
        let mut bench = Bench::new(&machine, Layout::new(), task);
        bench.map(task, 0, 1, 9, Flags::ACCESSED);
        bench
    });
    let (walker, found) = (bench.walker(), AtomicUsize::new(0));
    let (space, stock) = (&bench.space, Mutex::new(&mut bench.stock));
    let clear = |cpu: Cpu<'_, P, Set, false>| {
        cpu.task(|task| {
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            let entry = space.entry(slots.pte0.reborrow(), 0).unwrap();
            let (was_set, flush) = entry.test_and_clear_accessed();
            drop(entry);
            found.fetch_add(usize::from(was_set), Relaxed);
            assert_eq!(flush.scope().is_nothing(), !was_set);
            // SAFETY: no CPU uses the address space.
            unsafe { flush.ignore(slots.pte0, &mut **stock.lock().unwrap()) };
        });
    };
    let check = || {
        assert_eq!(found.swap(0, Relaxed), 1, "one of two finds it");
        assert_eq!(walker.all().0[&0].2, Flags::READ);
        assert!(walker.set_bits(0, ACCESSED));
    };
    let runs = machine.interleave(Schedules::exhaustive(1), 2, clear, check);
    assert!(runs > 20, "{runs}");
}

fn a_walk_maps_each_level_once<P: Paging>() {
    let machine = machine::<P>();
    for layout in layouts::<P>() {
        machine.cpu(0).task(|task| {
            let mut bench = Bench::new(&machine, layout, task);
            let levels = layout.levels();
            // SAFETY: nobody uses the address space.
            let map = |edit: &mut Edit<'_, '_, '_, P>| unsafe { edit.map(0, pfn(1), size(1), Flags::READ) }.unwrap();
            let (flush, mappings) = bench.edit(task, map);
            assert_eq!(mappings, levels, "with all tables new");
            bench.flush(task, flush);
            // SAFETY: nobody uses the address space.
            let map =
                |edit: &mut Edit<'_, '_, '_, P>| unsafe { edit.map(PAGE_SIZE, pfn(1), size(1), Flags::READ) }.unwrap();
            let (flush, mappings) = bench.edit(task, map);
            assert_eq!(mappings, levels, "with all tables there");
            bench.flush(task, flush);
            assert_eq!(bench.edit(task, |edit| edit.translate(0).unwrap().is_some()), (true, levels));
            let nowhere = everything(layout).count * (PAGE_SIZE / 2);
            assert_eq!(bench.edit(task, |edit| edit.translate(nowhere).unwrap().is_some()), (false, 1));
            // SAFETY: nobody uses the address space.
            let (flush, mappings) =
                bench.edit(task, |edit| unsafe { edit.protect(Pages::one(0), |_| Flags::USER) }.unwrap());
            assert_eq!(mappings, levels);
            bench.flush(task, flush);
            let (_, flush, mappings) = bench.unmap(task, Pages::one(0));
            assert_eq!((mappings, flush.tables()), (levels, 0), "the tables stay");
            bench.flush(task, flush);
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            let (_, counts) =
                machine.cpu(0).count(|| drop(bench.space.entry(slots.pte0.reborrow(), PAGE_SIZE).unwrap()));
            assert_eq!(counts.invlpg, levels);
        });
    }
}

fn a_range_maps_each_table_once<P: Paging>() {
    let machine = machine::<P>();
    let entries = P::ENTRIES_PER_TABLE;
    for layout in layouts::<P>() {
        machine.cpu(0).task(|task| {
            let mut bench = Bench::new(&machine, layout, task);
            let levels = layout.levels();
            for page in 0..2 * entries as u64 {
                bench.map(task, page, 1, page, Flags::ACCESSED);
            }
            let visit = |bench: &Bench<'_, P>, task: &mut Task<'_, K<P>>, pages: Pages| {
                let mut seen = vec![];
                let mut atomic = task.atomic();
                let mut slots = atomic.slots();
                let (flush, counts) = machine.cpu(0).count(|| {
                    let look = |pte: &mut highmem::pagetable::Pte<'_, K<P>>| {
                        seen.push(pte.leaf().unwrap().unwrap().pfn.number());
                        pte.test_and_clear_accessed();
                    };
                    bench.space.visit(slots.pte0.reborrow(), slots.pte1.reborrow(), pages, look).unwrap()
                });
                // SAFETY: nobody uses the address space.
                unsafe { flush.ignore(slots.pte0, &mut Stock::new(&machine)) };
                (seen, counts.invlpg)
            };
            let (seen, mappings) = visit(&bench, task, Pages::new(0, entries));
            assert_eq!((seen, mappings), ((0..entries).collect(), levels), "one page table");
            let (seen, mappings) = visit(&bench, task, Pages::new(at(10), entries));
            assert_eq!((seen, mappings), ((10..entries + 10).collect(), levels + 1), "two page tables");
            assert_eq!(visit(&bench, task, Pages::new(0, 2 * entries)).1, levels + 1);
            let is_set = |(page, (.., flags)): (&u64, &(usize, u64, Flags))| {
                *page >= 2 * entries as u64 || flags.contains(Flags::ACCESSED)
            };
            assert!(!bench.walker().all().0.iter().any(is_set), "each was visited");

            let range = Pages::new(at(5), 2 * entries - 10);
            // SAFETY: nobody uses the address space.
            let (flush, mappings) =
                bench.edit(task, |edit| unsafe { edit.protect(range, |_| Flags::WRITABLE) }.unwrap());
            assert_eq!(mappings, levels + 1);
            assert_eq!(flush.scope().ranges().collect::<Vec<_>>(), [range]);
            bench.flush(task, flush);
            let (gone, flush, mappings) = bench.unmap(task, range);
            assert_eq!((gone.len(), mappings, flush.tables()), (2 * entries - 10, levels + 1, 0));
            bench.flush(task, flush);

            // Many directories, each with a page table: those above are mapped once more, to check and to take out.
            if layout.levels() > 2 {
                let (of_one, count) = ((entries * entries) as u64, if P::LONG_MODE { 20 } else { 4 });
                let (_, flush, _) = bench.unmap(task, everything(layout));
                bench.flush(task, flush);
                for directory in 0..count {
                    bench.map(task, directory * of_one, 1, 5, Flags::READ);
                }
                let pages = Pages::new(0, (count * of_one) as usize);
                let (seen, mappings) = visit(&bench, task, pages);
                let above = levels - 3 + count as usize / 8 + 1;
                let check = above + count as usize;
                assert_eq!((seen.len(), mappings), (count as usize, above + 2 * count as usize + check));
                let (_, flush, _) = bench.unmap(task, pages);
                assert_eq!(flush.tables(), bench.stock.out.len() - 1);
                bench.flush(task, flush);
                bench.check();
            }
        });
    }
}

fn tables_are_freed_behind_the_flush<P: Paging>() {
    let machine = machine::<P>();
    machine.cpu(0).task(|task| {
        let mut bench = Bench::new(&machine, Layout::new(), task);
        let levels = bench.space.layout().levels();
        bench.map(task, 0, 1, 1, Flags::READ);
        bench.map(task, P::ENTRIES_PER_TABLE as u64, 1, 1, Flags::READ);
        let out: Vec<usize> = bench.stock.out.keys().copied().collect();
        let (_, first, _) = bench.unmap(task, Pages::one(0));
        assert_eq!((first.tables(), first.scope().frees_tables()), (1, true));
        assert_eq!(first.scope().ranges().collect::<Vec<_>>(), [Pages::one(0)]);
        let (_, second, mappings) = bench.unmap(task, Pages::one(P::ENTRIES_PER_TABLE * PAGE_SIZE));
        assert_eq!((second.tables(), mappings), (levels - 1, levels + levels.saturating_sub(2)));
        assert_eq!(bench.stock.out.keys().copied().collect::<Vec<_>>(), out, "none is back");
        let (one, other) = (*first.scope(), *second.scope());
        let both = {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            first.merge(slots.pte1, second)
        };
        assert_eq!(both.tables(), levels);
        assert!(both.scope().is_whole() == (one.is_whole() || other.is_whole()) && both.scope().frees_tables());
        let (pages, is_whole) = (both.scope().pages(), both.scope().is_whole());
        assert_eq!(is_whole, P::PAE && !P::LONG_MODE, "a top-level entry of PAE");
        let ((), counts) = machine.cpu(0).count(|| both.flush(task.atomic().slots().pte0, &mut bench.stock));
        // On both CPUs; and each table, for the next.
        let last = levels - 1;
        assert_eq!(counts.flush_all, if is_whole { 2 } else { 0 });
        assert_eq!(counts.invlpg, last + 2 * pages.unwrap_or(0));
        assert_eq!(bench.stock.out.len(), 1);
        bench.check();
    });
}

fn a_space_is_torn_down<P: Paging>() {
    let machine = machine::<P>();
    for layout in layouts::<P>() {
        machine.cpu(0).task(|task| {
            let free = machine.allocated();
            let mut bench = Bench::new(&machine, layout, task);
            let everything = everything(layout);
            let entries = P::ENTRIES_PER_TABLE as u64;
            for number in 0..40 {
                let page = number * (everything.count as u64 / 40);
                let level = 1 + number as usize % 2;
                let page = if level == 2 { page / entries * entries } else { page };
                bench.map(task, page, level, 0, Flags::USER);
            }
            let (gone, flush, _) = bench.unmap(task, everything);
            assert_eq!((gone.len(), flush.tables()), (40, bench.stock.out.len() - 1));
            bench.flush(task, flush);
            // SAFETY: no CPU uses it.
            let root = unsafe { bench.space.into_root() };
            bench.stock.give_back(root);
            assert!(bench.stock.out.is_empty());
            assert_eq!(machine.allocated(), free);
        });
    }
}

fn entries_are_used_one_by_one<P: Paging>() {
    let machine = machine::<P>();
    machine.cpu(0).task(|task| {
        let mut bench = Bench::new(&machine, Layout::new(), task);
        let entries = P::ENTRIES_PER_TABLE;
        bench.map(task, 1, 1, 9, Flags::WRITABLE);
        bench.map(task, entries as u64, 2, entries as u64, Flags::WRITABLE);
        let walker = bench.walker();
        let mut flushes: Vec<Flush<P>> = vec![];
        {
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            let nowhere = bench.space.entry(slots.pte0.reborrow(), 3 * entries * PAGE_SIZE).unwrap_err();
            assert_eq!(nowhere, Error::NotMapped { address: 3 * entries * PAGE_SIZE });
            let mut entry = bench.space.entry_mut(slots.pte0.reborrow(), 5 * PAGE_SIZE).unwrap();
            assert_eq!(entry.leaf(), Ok(None));
            let (table, index, _) = walker.find(5);
            assert_eq!(entry.physical_address(), table * 4096 + index * Walker::<P>::SIZE as u64);
            // SAFETY: nobody uses the address space.
            unsafe {
                entry.set(pfn(77), Flags::USER).unwrap();
                let error = entry.set(pfn(78), Flags::USER).unwrap_err();
                assert_eq!(error, Error::AlreadyMapped { address: 5 * PAGE_SIZE, size: PageSize::Small });
            }
            assert_eq!(walker.all().0[&5], (1, 77, Flags::USER));
            walker.set_bits(5, ACCESSED | DIRTY);
            // SAFETY: nobody uses the address space.
            let (was, flush) = unsafe { entry.protect(Flags::WRITABLE) };
            flushes.push(flush);
            assert_eq!(was.unwrap().flags, Flags::USER | Flags::ACCESSED | Flags::DIRTY);
            assert_eq!(walker.all().0[&5].2, Flags::WRITABLE | Flags::ACCESSED | Flags::DIRTY);
            let (was_accessed, flush) = entry.test_and_clear_accessed();
            flushes.push(flush);
            let (is_accessed, nothing) = entry.test_and_clear_accessed();
            assert!(was_accessed && !is_accessed && nothing.scope().is_nothing());
            drop(nothing);
            let (was, flush) = entry.take();
            flushes.push(flush);
            assert_eq!(was.unwrap().unwrap().flags, Flags::WRITABLE | Flags::DIRTY);
            assert_eq!(entry.take().0, Ok(None));
            let token = entry.unmap();
            // The entry of a large page is that of its directory.
            let address = (entries + 6) * PAGE_SIZE;
            let entry = bench.space.entry(token, address).unwrap();
            let leaf = entry.leaf().unwrap().unwrap();
            assert_eq!((leaf.size, leaf.frame(address)), (PageSize::Large, Some(pfn(entries as u64 + 6))));
        }
        flushes.into_iter().for_each(|flush| bench.flush(task, flush));
        assert_eq!(walker.all().0.len(), 2);
        bench.check();

        // What the levels above do not allow, no entry below does.
        let (mut table, mut level) = (walker.root, bench.space.layout().levels());
        while level > 2 {
            table = Walker::<P>::frame(walker.entry(table, Walker::<P>::index(level, 0)));
            level -= 1;
        }
        walker.set_entry(table, 0, walker.entry(table, 0) & !0b10);
        let (found, _) = bench.edit(task, |edit| edit.translate(PAGE_SIZE).unwrap().unwrap());
        assert_eq!((found.pfn, found.flags), (pfn(9), Flags::READ));
        let mut atomic = task.atomic();
        let entry = bench.space.entry(atomic.slots().pte0, PAGE_SIZE).unwrap();
        assert_eq!(entry.leaf().unwrap().unwrap().flags, Flags::WRITABLE, "the entry itself");
    });
}

fn the_kernels_part_is_shared<P: Paging>() {
    let machine = machine::<P>();
    for layout in layouts::<P>() {
        machine.cpu(0).task(|task| {
            let mut kernel = Bench::new(&machine, layout, task);
            let whole = everything(layout);
            let last = whole.count as u64 - 1;
            kernel.map(task, last, 1, 3, Flags::GLOBAL);
            kernel.map(task, 0, 1, 3, Flags::GLOBAL);

            let mut stock = Stock::new(&machine);
            let root = stock.take().unwrap();
            let span = Pages::new(0, whole.count / 2);
            let mut space = Space::new(task.atomic().slots().pte0, root, span, layout).unwrap();
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            // SAFETY: no CPU uses the address space, and the other one stays until the end.
            unsafe { space.share_rest(slots.pte0, slots.pte1, kernel.space.root()) };
            drop(atomic);
            let mut bench = Bench { machine: &machine, stock, space };
            assert_eq!(bench.walker().all().0, Map::from([(last, (1, 3, Flags::GLOBAL))]));
            bench.map(task, 1, 1, 8, Flags::USER);
            let (gone, flush, _) = bench.unmap(task, span);
            bench.flush(task, flush);
            assert_eq!(gone.len(), 1);
            assert_eq!(bench.walker().all().0.len(), 1, "the kernel's part stays");
            assert_eq!(kernel.walker().all().0.len(), 2);

            // A global translation may be anywhere.
            let (_, flush, _) = kernel.unmap(task, Pages::one(0));
            assert_eq!(flush.scope().cpus(), highmem::pagetable::Cpus::All);
            kernel.flush(task, flush);
        });
    }
}
