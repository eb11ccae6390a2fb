//! A boot self-test: is the window what the kernel says it is?
//!
//! In C a window that is not linked, or whose tables lie in another order than the arithmetic believes, shows as a fault or as
//! somebody else's bytes, at the first use of the slot in question, which may be long after boot.
//!
//! [`selftest`] compares what the kernel promises with what the processor's registers say, and then maps each slot of the calling CPU
//! and looks at it through the processor's own page walk. What is wrong comes back as an [`Error`] that names the first slot that
//! misbehaves.

use core::fmt;

use crate::atomic;
use crate::batch;
use crate::cache;
use crate::context::{Nmi, Task};
use crate::fixmap::Window;
use crate::kernel::Kernel;
use crate::lazy;
use crate::machine::Machine;
use crate::page::{Access, Page, Pfn};
use crate::paging::{MemoryType, PAGE_SIZE, Paging, Pat, Protection};
use crate::slot::{Group, KmTypes};
use crate::tlb::Translations;

/// What is not as the kernel promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// [`Kernel::cpu`] is not below [`Kernel::Cpus`].
    NoSuchCpu {
        /// The number.
        cpu: usize,
        /// How many there are.
        cpus: usize,
    },
    /// A register of the processor is not as the kernel says.
    Register {
        /// The CPU.
        cpu: usize,
        /// What is wrong, and with what promise.
        what: &'static str,
    },
    /// Something answers at a slot's address while nothing is mapped there: another page table is in use for it, or a translation is left.
    NotEmpty(Place),
    /// A slot's entry was filled, and there is still no page at its address: the window's tables are not linked there.
    NotMapped(Place),
    /// A slot's entry was filled, and there is another page at its address than it says: the window's tables are linked in another order.
    WrongPage {
        /// The slot.
        at: Place,
        /// The first eight bytes that were found.
        found: u64,
    },
    /// A slot was mapped, and the page appeared, too, at the address of a neighbour: the tables are linked twice.
    Neighbour {
        /// The slot that was mapped.
        at: Place,
        /// Where its page appeared.
        address: usize,
    },
    /// A slot was unmapped, and its page is still there: the translation was not flushed.
    StillMapped(Place),
}

/// A slot, or a page of a batch, where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The CPU.
    pub cpu: usize,
    /// The slot, or the batch.
    pub slot: &'static str,
    /// Its address.
    pub address: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, slot, address } = self;
        write!(f, "slot {slot} on CPU {cpu}, at {address:#x}")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchCpu { cpu, cpus } => write!(f, "`Kernel::cpu` says {cpu}, of {cpus} CPUs"),
            Self::Register { cpu, what } => write!(f, "CPU {cpu}: {what}"),
            Self::NotEmpty(at) => write!(f, "{at}: is empty, and yet there is a page: who else uses this address?"),
            Self::NotMapped(at) => {
                write!(
                    f,
                    "{at}: was mapped, and yet there is no page: are the window's tables linked for this address?"
                )
            }
            Self::WrongPage { at, found } => write!(
                f,
                "{at}: was mapped, and there is another page, which begins with {found:#018x}: are the window's tables linked in order?"
            ),
            Self::Neighbour { at, address } => {
                write!(
                    f,
                    "{at}: was mapped, and the page is at {address:#x}, too: is one of the window's tables linked twice?"
                )
            }
            Self::StillMapped(at) => write!(f, "{at}: was unmapped, and the page is still there: does `invlpg` work?"),
        }
    }
}

impl core::error::Error for Error {}

/// Maps every slot and every place of a batch of this CPU, but for those of non-maskable interrupts ([`of_nmi`]), and checks that the page is there, and only
/// there, and gone afterwards. To be called on each CPU at boot.
///
/// `pages` are two different pages of memory, each with its first eight bytes (little-endian), which are different, too. `read` reads
/// eight bytes at an aligned address, and says `None` if that faults, as Linux's `get_kernel_nofault()`; it is called with interrupts
/// off. For a kernel that cannot catch a page fault in its own code, this test is not.
///
/// # Errors
/// The first thing that is not as the kernel promises. Nothing is left mapped.
pub fn selftest<K: Kernel, P: Page<Paging = K::Paging>>(
    task: &mut Task<'_, K>,
    pages: [(&P, u64); 2],
    read: impl FnMut(usize) -> Option<u64>,
) -> Result<(), Error> {
    let mut atomic = task.atomic();
    let mut bh_off = atomic.bh_off();
    let _irqs_off = bh_off.irqs_off();
    // SAFETY: I1: this context is all contexts that have these slots, and none of their tokens is out.
    unsafe { run::<K, P>(|group| group != Group::InNmi, pages, read) }
}

/// As [`selftest`], for the slots of non-maskable interrupts.
///
/// # Errors
/// As [`selftest`].
pub fn of_nmi<K: Kernel, P: Page<Paging = K::Paging>>(
    _nmi: &mut Nmi<'_, K>,
    pages: [(&P, u64); 2],
    read: impl FnMut(usize) -> Option<u64>,
) -> Result<(), Error> {
    // SAFETY: I1: the context has these slots, and is borrowed, so that none of their tokens is out.
    unsafe { run::<K, P>(|group| group == Group::InNmi, pages, read) }
}

/// # Safety
/// Nobody else on this CPU uses slots of these groups meanwhile (I1).
unsafe fn run<K: Kernel, P: Page<Paging = K::Paging>>(
    groups: impl Fn(Group) -> bool,
    pages: [(&P, u64); 2],
    mut read: impl FnMut(usize) -> Option<u64>,
) -> Result<(), Error> {
    const { assert!(<P::Access as Access>::RAM, "the self-test reads ordinary memory, not a device") };
    let (cpu, cpus) = (K::cpu(), Window::<K>::CPUS);
    if cpu >= cpus {
        return Err(Error::NoSuchCpu { cpu, cpus });
    }
    check_registers::<K>(cpu)?;
    let slots = (0..Window::<K>::SLOTS).filter(|&slot| groups(Window::<K>::group(slot)));
    let batches = K::KmTypes::BATCHES.iter().enumerate().filter(|(_, entries)| groups(entries.group));
    // SAFETY: I1: all these are the caller's. A guard that was forgotten is nobody's, nor is what a lazy slot keeps (I3).
    unsafe {
        for slot in slots.clone() {
            let (address, pte) = Window::<K>::place(cpu, slot);
            if !K::Paging::is_empty::<K::Machine>(pte) {
                lazy::forget::<K>(slot, pte);
                atomic::unmap_forgotten::<K>(address, Group::InterruptsOff);
            }
        }
        for (index, entries) in batches.clone() {
            batch::unmap_forgotten::<K>(entries, Window::<K>::batch_place(cpu, index).0);
        }
    }
    for slot in slots {
        let (address, _) = Window::<K>::place(cpu, slot);
        let at = Place { cpu, slot: Window::<K>::name(slot), address };
        for (page, bytes) in pages {
            // SAFETY: I1: the caller's promise.
            unsafe { try_slot::<K>(at, (page.pfn(), bytes), &mut read)? };
        }
    }
    for (index, entries) in batches {
        let (address, _) = Window::<K>::batch_place(cpu, index);
        for (number, (page, bytes)) in (0..entries.pages).flat_map(|number| pages.map(|page| (number, page))) {
            let at = Place { cpu, slot: entries.name, address: address + number * PAGE_SIZE };
            // SAFETY: I1: the caller's promise.
            unsafe { try_slot::<K>(at, (page.pfn(), bytes), &mut read)? };
        }
    }
    Ok(())
}

/// Maps a page in a slot, or at one place of a batch, looks at it, and unmaps it.
///
/// # Safety
/// The slot is the caller's (I1), and empty (I3).
unsafe fn try_slot<K: Kernel>(
    at: Place,
    (pfn, bytes): (Pfn<K::Paging>, u64),
    read: &mut impl FnMut(usize) -> Option<u64>,
) -> Result<(), Error> {
    let pte = Window::<K>::entry_of(at.address);
    if read(at.address).is_some() {
        return Err(Error::NotEmpty(at));
    }
    let protection = Protection::new(false)
        .cache(const { K::PAT.index_of(MemoryType::WriteBack) })
        .global(K::TRANSLATIONS.are_global())
        .no_execute(K::no_execute());
    // SAFETY: I1: the slot is the caller's, and empty.
    unsafe {
        K::Paging::set::<K::Machine>(pte, K::Paging::entry(pfn.number(), protection));
        cache::begin_of_entry::<K>(at.address, pte);
    }
    let seen = look(at, bytes, read);
    atomic::unmap::<K>(at.address, Group::InterruptsOff);
    seen?;
    if read(at.address).is_some() { Err(Error::StillMapped(at)) } else { Ok(()) }
}

/// The page with these `bytes` is at this place, and not beside it.
fn look(at: Place, bytes: u64, read: &mut impl FnMut(usize) -> Option<u64>) -> Result<(), Error> {
    match read(at.address) {
        None => return Err(Error::NotMapped(at)),
        Some(found) if found != bytes => return Err(Error::WrongPage { at, found }),
        Some(_) => {}
    }
    // A neighbour may be a slot of another CPU, or none at all, and then what is there is not known; but this page it is not.
    let neighbours = [at.address.checked_sub(PAGE_SIZE), at.address.checked_add(PAGE_SIZE)];
    match neighbours.into_iter().flatten().find(|&neighbour| read(neighbour) == Some(bytes)) {
        Some(address) => Err(Error::Neighbour { at, address }),
        None => Ok(()),
    }
}

/// What the kernel promises about the processor's registers is so, as far as it can be seen.
fn check_registers<K: Kernel>(cpu: usize) -> Result<(), Error> {
    // SAFETY: a kernel runs at privilege level 0.
    let Some(registers) = (unsafe { K::Machine::registers() }) else { return Ok(()) };
    let translations = K::TRANSLATIONS;
    let promises = [
        (registers.write_protect, "CR0.WP is clear: read-only mappings are writable"),
        (registers.pae == K::Paging::PAE, "CR4.PAE is not what `Kernel::Paging` says"),
        (registers.long_mode == K::Paging::LONG_MODE, "EFER.LMA is not what `Kernel::Paging` says"),
        (registers.no_execute || !K::no_execute(), "EFER.NXE is clear, and `Kernel::no_execute` says that it is set"),
        (
            registers.global_pages || !translations.are_global(),
            "CR4.PGE is clear, and `Kernel::TRANSLATIONS` is `Global`",
        ),
        (
            !registers.pcids || translations != Translations::Untagged,
            "CR4.PCIDE is set, and `Kernel::TRANSLATIONS` is `Untagged`",
        ),
        (
            registers.pat.unwrap_or(Pat::POWER_ON.register()) == K::PAT.register(),
            "IA32_PAT is not what `Kernel::PAT` says",
        ),
    ];
    match promises.iter().find(|(kept, _)| !kept) {
        Some((_, what)) => Err(Error::Register { cpu, what }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Registers;
    use crate::machine::recorder::REGISTERS;
    use crate::paging::Pae;
    use crate::test_kernel::{CPU, FIXMAP_BASE, GlobalTranslations, SLOTS, TestKernel, Variant, entry, page};
    use crate::{Frame, linux};
    use core::cell::Cell;
    use std::string::ToString;

    type Of<V> = TestKernel<false, linux::Set, V>;
    type K = TestKernel<false>;

    const ONE: (u64, u64) = (0x14_0001, 0x1111_1111_1111_1111);
    const TWO: (u64, u64) = (0x14_0002, 0x2222_2222_2222_2222);

    fn frame((pfn, _): (u64, u64)) -> Frame<Pae> {
        // SAFETY: I5: exists only as a number.
        unsafe { Frame::from_pfn(Pfn::new(pfn).unwrap()) }
    }

    /// What a page walk finds at an address whose page has entry `index`.
    fn walk(index: usize) -> Option<u64> {
        [ONE, TWO].into_iter().find(|(pfn, _)| entry(index) & 0xf_ffff_f001 == pfn << 12 | 1).map(|(_, bytes)| bytes)
    }

    fn run<K: Kernel<Paging = Pae>>(read: impl FnMut(usize) -> Option<u64>) -> Result<(), Error> {
        // SAFETY: I1: each test is a thread, and enters once at a time.
        unsafe { Task::<K>::enter(|task| selftest(task, [(&frame(ONE), ONE.1), (&frame(TWO), TWO.1)], read)) }
    }

    /// Runs the test on a machine where the page with index `i` has entry `entry_of(i)`.
    fn with(entry_of: impl Fn(usize) -> usize) -> Result<(), Error> {
        let result = run::<K>(|address| walk(entry_of(address.wrapping_sub(FIXMAP_BASE) / PAGE_SIZE).min(511)));
        assert!((0..512).all(|index| entry(index) & 1 == 0), "nothing is left mapped");
        result
    }

    fn place(slot: usize) -> Place {
        Place {
            cpu: CPU.get(),
            slot: linux::Set::NAMES[slot],
            address: FIXMAP_BASE + page(CPU.get(), slot) * PAGE_SIZE,
        }
    }

    #[test]
    fn a_right_window_passes_and_each_slot_is_looked_at() {
        for cpu in [0, 1] {
            CPU.set(cpu);
            let seen = Cell::new([0; SLOTS]);
            let result = run::<K>(|address| {
                let index = address.wrapping_sub(FIXMAP_BASE) / PAGE_SIZE;
                let found = walk(index.min(511));
                if let Some(slot) = (0..SLOTS).find(|&slot| page(cpu, slot) == index && found.is_some()) {
                    let mut counts = seen.get();
                    counts[slot] += 1;
                    seen.set(counts);
                }
                found
            });
            assert_eq!(result, Ok(()));
            assert_eq!(seen.get(), [2; SLOTS], "each slot with both pages");
        }
        CPU.set(0);
    }

    #[test]
    fn a_window_that_is_not_linked_is_found_at_the_first_slot() {
        assert_eq!(run::<K>(|_| None), Err(Error::NotMapped(place(0))));
    }

    #[test]
    fn a_page_that_is_another_is_found_at_the_first_slot_that_has_it() {
        // From the eighth slot on, the processor uses entries that this crate does not write.
        let first = page(0, 7);
        assert_eq!(with(|index| if index < first { index } else { 511 }), Err(Error::NotMapped(place(7))));
        // There, it finds a page that nobody has mapped.
        let result = run::<K>(|address| {
            let index = address.wrapping_sub(FIXMAP_BASE) / PAGE_SIZE;
            let empty = index < 512 && entry(index) & 1 == 0;
            if index == first && !empty { Some(7) } else { walk(index.min(511)) }
        });
        assert_eq!(result, Err(Error::WrongPage { at: place(7), found: 7 }));
    }

    #[test]
    fn a_page_that_is_there_before_is_found() {
        let first = page(0, 3);
        let result = run::<K>(|address| {
            if address == FIXMAP_BASE + first * PAGE_SIZE {
                Some(9)
            } else {
                walk((address.wrapping_sub(FIXMAP_BASE) / PAGE_SIZE).min(511))
            }
        });
        assert_eq!(result, Err(Error::NotEmpty(place(3))));
    }

    #[test]
    fn a_page_that_is_at_a_neighbour_too_is_found() {
        let slot = page(0, 5);
        for neighbour in [slot - 1, slot + 1] {
            let result = with(|index| if index == neighbour && entry(slot) & 1 == 1 { slot } else { index });
            assert_eq!(result, Err(Error::Neighbour { at: place(5), address: FIXMAP_BASE + neighbour * PAGE_SIZE }));
        }
    }

    #[test]
    fn a_translation_that_is_left_is_found() {
        let left = Cell::new(None);
        let result = run::<K>(|address| {
            let index = address.wrapping_sub(FIXMAP_BASE) / PAGE_SIZE;
            let found = walk(index.min(511));
            if index == page(0, 2) && found.is_some() {
                left.set(found);
            }
            if index == page(0, 2) { found.or(left.get()) } else { found }
        });
        assert_eq!(result, Err(Error::StillMapped(place(2))));
    }

    #[test]
    fn a_cpu_number_out_of_range_is_found() {
        CPU.set(2);
        assert_eq!(run::<K>(|_| None), Err(Error::NoSuchCpu { cpu: 2, cpus: 2 }));
        CPU.set(0);
    }

    #[test]
    fn a_guard_that_was_forgotten_before_is_no_mistake() {
        // SAFETY: I1: each test is a thread, and enters once at a time.
        unsafe {
            Task::<K>::enter(|task| core::mem::forget(crate::kmap_atomic(task.atomic().slots().user0, frame(ONE))))
        };
        crate::test_kernel::REPORTS.take();
        assert_eq!(with(|index| index), Ok(()));
    }

    const RIGHT: Registers = Registers {
        write_protect: true,
        pae: true,
        long_mode: false,
        no_execute: true,
        global_pages: false,
        pcids: false,
        pat: Some(0x0007_0406_0007_0406),
    };

    fn registers<V: Variant>(registers: Registers) -> Result<(), Error> {
        REGISTERS.set(Some(registers));
        let result = run::<Of<V>>(|address| walk((address.wrapping_sub(FIXMAP_BASE) / PAGE_SIZE).min(511)));
        REGISTERS.set(None);
        result
    }

    #[test]
    fn registers_are_compared_with_what_the_kernel_promises() {
        use crate::test_kernel::Shared;
        assert_eq!(registers::<Shared>(RIGHT), Ok(()));
        assert_eq!(
            registers::<Shared>(Registers { pat: None, ..RIGHT }),
            Ok(()),
            "without PAT, the bits mean the same"
        );
        let wrong = [
            (Registers { write_protect: false, ..RIGHT }, "CR0.WP"),
            (Registers { pae: false, ..RIGHT }, "CR4.PAE"),
            (Registers { long_mode: true, ..RIGHT }, "EFER.LMA"),
            (Registers { no_execute: false, ..RIGHT }, "EFER.NXE"),
            (Registers { pcids: true, ..RIGHT }, "CR4.PCIDE"),
            (Registers { pat: Some(0x0007_0406_0107_0406), ..RIGHT }, "IA32_PAT"),
        ];
        for (values, name) in wrong {
            let error = registers::<Shared>(values).unwrap_err().to_string();
            assert!(error.starts_with("CPU 0: ") && error.contains(name), "{name}: {error}");
        }
        let error = registers::<GlobalTranslations>(RIGHT).unwrap_err().to_string();
        assert!(error.contains("CR4.PGE"), "{error}");
        assert_eq!(registers::<GlobalTranslations>(Registers { global_pages: true, pcids: true, ..RIGHT }), Ok(()));
    }
}
