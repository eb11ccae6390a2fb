//! Catching lies: the checks of the feature `debug`.
//!
//! Types see what safe code does. What they cannot see is whether an `unsafe` promise was true: that interrupts are off where an
//! interrupt context was entered, that a CPU's number is its own. In C, such a lie shows as somebody else's bytes, later.
//!
//! The rule (I11): context and reality agree at each mapping, and no mapping is left when its context ends.
//!
//! With the feature, each mapping asks the kernel for its own accounts ([`Kernel::state`]), each slot has an unmapped page on
//! both sides (a run over the end of a page faults), pages of the direct map are mapped, too ([`Kernel::FORCE_MAP`]), and
//! where a mapping was made is remembered. What does not fit goes to [`Kernel::report`], with slot, CPU and place.
//! [`mappings`] is the table of what is mapped now. Without the feature, none of this costs anything.
//!
//! No safe code relies on any of it.

use core::fmt;
use core::panic::Location;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use crate::atomic;
use crate::batch;
use crate::fixmap::Window;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::paging::{PAGE_SIZE, Paging};
use crate::slot::{Group, KmType, KmTypes};
use crate::trace;

mod held;

pub(crate) use held::{Held, HeldBy};

/// Whether the checks are there.
pub(crate) const ON: bool = cfg!(feature = "debug");

/// What a kernel's own accounts say about the code that runs now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    /// What is being served. Linux: `in_nmi()`, `in_hardirq()`, `in_serving_softirq()`, or none of them.
    pub serving: Serving,
    /// No other thread can come in between. Linux: `preempt_count() != 0`.
    pub preemption_off: bool,
    /// No softirq can come in between.
    pub softirqs_off: bool,
    /// No interrupt can come in between: the interrupt flag is clear.
    pub interrupts_off: bool,
}

/// What a CPU is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serving {
    /// Running a thread.
    Thread,
    /// Serving a softirq.
    SoftirqHandler,
    /// Serving an interrupt.
    InterruptHandler,
    /// Serving a non-maskable interrupt.
    NmiHandler,
}

impl State {
    /// Whether somebody in this state may use the slots of `group`.
    fn allows(self, group: Group) -> bool {
        match group {
            Group::MigrationOff => self.serving == Serving::Thread,
            Group::PreemptionOff => self.serving == Serving::Thread && self.preemption_off,
            Group::SoftirqsOff => {
                self.serving == Serving::SoftirqHandler || self.serving == Serving::Thread && self.softirqs_off
            }
            Group::InterruptsOff => self.serving != Serving::NmiHandler && self.interrupts_off,
            Group::InNmi => self.serving == Serving::NmiHandler,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let off = |off| if off { "off" } else { "on" };
        write!(
            f,
            "{}, with preemption {}, softirqs {} and interrupts {}",
            match self.serving {
                Serving::Thread => "a thread",
                Serving::SoftirqHandler => "a softirq",
                Serving::InterruptHandler => "an interrupt",
                Serving::NmiHandler => "an NMI",
            },
            off(self.preemption_off),
            off(self.softirqs_off),
            off(self.interrupts_off)
        )
    }
}

/// Something that a kernel has promised, and that is not so.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Report {
    /// A slot is used where others can come in between.
    WrongContext {
        /// The slot.
        slot: &'static str,
        /// The CPU.
        cpu: usize,
        /// Who maps.
        caller: &'static Location<'static>,
        /// What makes the slot exclusive.
        group: Group,
        /// What the kernel's accounts say.
        state: State,
    },
    /// A page is to be mapped in the pool with interrupts off: other CPUs cannot be asked to flush.
    InterruptsOff {
        /// The CPU.
        cpu: usize,
        /// Who maps.
        caller: &'static Location<'static>,
    },
    /// A guard of the pool was forgotten: its task maps another page, or ends. The entry stays in use for ever.
    ForgottenKmap {
        /// How many guards.
        guards: u32,
        /// Who mapped the last page.
        mapped_by: &'static Location<'static>,
    },
    /// A slot is used with interrupts on, whatever the kernel's accounts say: the processor's interrupt flag is set.
    InterruptsOn {
        /// The slot.
        slot: &'static str,
        /// The CPU.
        cpu: usize,
        /// Who maps.
        caller: &'static Location<'static>,
    },
    /// [`Kernel::cpu`] gives two CPUs one number, or sees one as two.
    SharedNumber {
        /// The slot that is to be used.
        slot: &'static str,
        /// The number.
        cpu: usize,
        /// The ID of the local APIC of the CPU that used it first, and of this one.
        apics: [u32; 2],
        /// Who maps or unmaps.
        caller: &'static Location<'static>,
    },
    /// A thread with local maps goes on on another CPU than it was on: it was to stay there ([`local`](crate::local)).
    Moved {
        /// Where it was.
        from: usize,
        /// Where it goes on.
        to: usize,
    },
    /// [`Kernel::cpu`] is not below [`Kernel::Cpus`].
    NoSuchCpu {
        /// The slot that is to be used.
        slot: &'static str,
        /// The number.
        cpu: usize,
        /// How many there are.
        cpus: usize,
        /// Who maps or unmaps.
        caller: &'static Location<'static>,
    },
    /// A mapping ends on another CPU than it began on, or its entry was emptied by somebody else.
    OtherCpu {
        /// The slot.
        slot: &'static str,
        /// Where it ends.
        cpu: usize,
        /// The address, which is that of another CPU's slot, or of a slot that is empty.
        address: usize,
        /// Who mapped, if that is known.
        mapped_by: Option<&'static Location<'static>>,
    },
    /// A guard was forgotten: its slot is mapped again, or its context ends.
    Forgotten {
        /// What is still mapped.
        mapping: Mapping,
        /// Who maps again; `None` where the context ends.
        caller: Option<&'static Location<'static>>,
    },
    /// Entries of a page table were changed, and what CPUs have to forget was dropped instead of flushed.
    NotFlushed {
        /// How many tables were to be freed behind the flush. They are lost.
        tables: usize,
        /// Who changed the entries.
        changed_by: &'static Location<'static>,
    },
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongContext { slot, cpu, caller, group, state } => {
                let needs = match group {
                    Group::MigrationOff => "a thread that stays on its CPU",
                    Group::PreemptionOff => "a thread with preemption off",
                    Group::SoftirqsOff => "a softirq, or a thread with softirqs off",
                    Group::InterruptsOff => "interrupts off",
                    Group::InNmi => "an NMI",
                };
                write!(f, "slot {slot} on CPU {cpu} at {caller}: needs {needs}, but this is {state}")
            }
            Self::InterruptsOff { cpu, caller } => {
                write!(f, "kmap pool on CPU {cpu} at {caller}: other CPUs cannot flush while interrupts are off here")
            }
            Self::ForgottenKmap { guards, mapped_by } => {
                write!(
                    f,
                    "kmap pool: {guards} guard(s) of a task forgotten, the last of a page that was mapped at {mapped_by}"
                )
            }
            Self::InterruptsOn { slot, cpu, caller } => {
                write!(f, "slot {slot} on CPU {cpu} at {caller}: needs interrupts off, but the interrupt flag is set")
            }
            Self::SharedNumber { slot, cpu, apics: [first, this], caller } => {
                write!(
                    f,
                    "slot {slot} at {caller}: `Kernel::cpu` says {cpu} on two CPUs, those with local APIC {first} and {this}"
                )
            }
            Self::NoSuchCpu { slot, cpu, cpus, caller } => {
                write!(f, "slot {slot} at {caller}: `Kernel::cpu` says {cpu}, of {cpus} CPUs")
            }
            Self::Moved { from, to } => {
                write!(f, "a thread has local maps on CPU {from}, and goes on on CPU {to}")
            }
            Self::OtherCpu { slot, cpu, address, mapped_by } => {
                write!(f, "slot {slot} on CPU {cpu}: unmaps {address:#x}, which is not mapped on this CPU")?;
                mapped_by.map_or(Ok(()), |place| write!(f, "; it was mapped at {place}"))
            }
            Self::Forgotten { mapping, caller: Some(caller) } => {
                write!(f, "{mapping}: its guard was forgotten, and the slot is mapped again at {caller}")
            }
            Self::Forgotten { mapping, caller: None } => {
                write!(f, "{mapping}: its guard was forgotten, and its context ends")
            }
            Self::NotFlushed { tables, changed_by } => {
                write!(
                    f,
                    "page tables that were changed at {changed_by} were not flushed, and {tables} of them are lost"
                )
            }
        }
    }
}

/// A page that is mapped in a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The CPU.
    pub cpu: usize,
    /// The slot.
    pub slot: &'static str,
    /// The address of the slot.
    pub address: usize,
    /// The number of the frame.
    pub pfn: usize,
    /// Whether it may be written.
    pub writable: bool,
    /// Who mapped it: known with the feature `debug`, where an entry has room for it.
    pub mapped_by: Option<&'static Location<'static>>,
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, slot, address, pfn, .. } = self;
        let access = if self.writable { "read-write" } else { "read only" };
        write!(f, "slot {slot} on CPU {cpu}: {address:#x} is pfn {pfn:#x}, {access}")?;
        self.mapped_by.map_or(Ok(()), |place| write!(f, ", mapped at {place}"))
    }
}

/// What is mapped in the slots of all CPUs, slot by slot, and in their batches, page by page; of this CPU alone, if each has [its own tables](crate::fixmap::CpuFixmap).
///
/// The entries of other CPUs change while this looks at them: each item was true at one moment, not all at the same.
pub fn mappings<K: Kernel>() -> impl Iterator<Item = Mapping> {
    let cpus = if Window::<K>::OF_ONE_CPU { K::cpu()..K::cpu() + 1 } else { 0..Window::<K>::CPUS_HERE };
    cpus.flat_map(|cpu| {
        let slots = (0..Window::<K>::SLOTS).filter_map(move |slot| mapping::<K>(cpu, slot));
        let batches = K::KmTypes::BATCHES.iter().enumerate().flat_map(move |(index, batch)| {
            (0..batch.pages).filter_map(move |page| mapping_of_batch::<K>(cpu, index, page))
        });
        slots.chain(batches)
    })
}

/// What is mapped in one slot.
fn mapping<K: Kernel>(cpu: usize, slot: usize) -> Option<Mapping> {
    let (address, pte) = Window::<K>::place(cpu, slot);
    // SAFETY: I9: an entry of the window; it is only read.
    let (pfn, writable) = unsafe { K::Paging::get::<K::Machine>(pte) }?;
    let mapped_by = place_of_origin::<K>(pte);
    Some(Mapping { cpu, slot: Window::<K>::name(slot), address, pfn, writable, mapped_by })
}

/// What is mapped in one page of a batch. Where it was mapped is said of all of them together, before the first.
fn mapping_of_batch<K: Kernel>(cpu: usize, index: usize, page: usize) -> Option<Mapping> {
    let (first, pte) = Window::<K>::batch_place(cpu, index);
    // SAFETY: I9: an entry of the window; it is only read.
    let (pfn, writable) = unsafe { K::Paging::get::<K::Machine>(pte.wrapping_add(page)) }?;
    let (slot, address) = (K::KmTypes::BATCHES[index].name, first + page * PAGE_SIZE);
    Some(Mapping { cpu, slot, address, pfn, writable, mapped_by: place_of_origin::<K>(pte) })
}

/// Reports if a slot is used where others can come in between.
#[track_caller]
pub(crate) fn check_context<K: Kernel>(slot: &'static str, group: Group) {
    let caller = Location::caller();
    if let Some(state) = K::state()
        && !state.allows(group)
    {
        K::report(&Report::WrongContext { slot, cpu: K::cpu(), caller, group, state });
    } else if group == Group::InterruptsOff && K::Machine::interrupts_on() == Some(true) {
        K::report(&Report::InterruptsOn { slot, cpu: K::cpu(), caller });
    }
}

/// Reports a CPU that there is not, and ends there: its entries are those of something else. So are those of a CPU whose number
/// another one uses, but which of them is right, nobody knows.
#[track_caller]
pub(crate) fn check_cpu<K: Kernel>(slot: &'static str, cpu: usize) {
    if cpu >= Window::<K>::CPUS {
        let report = Report::NoSuchCpu { slot, cpu, cpus: Window::<K>::CPUS, caller: Location::caller() };
        K::report(&report);
        panic!("{report}");
    }
    if let Some(this) = K::Machine::identity()
        && let Some(first) = first_with_number::<K>(cpu, this)
    {
        let report = Report::SharedNumber { slot, cpu, apics: [first, this], caller: Location::caller() };
        K::report(&report);
    }
}

/// The identity of the CPU that used the number `cpu` first, if that is not `this`.
///
/// It is kept in the entry of the page behind the CPU's last slot, which is never mapped, in such a way that the entry stays not
/// present and is not 0.
fn first_with_number<K: Kernel>(cpu: usize, this: u32) -> Option<u32> {
    const SET: u32 = 1 << 31;
    // SAFETY: I9: an entry of the window. I1: only CPUs with this number write it, and if there are two, this is to find out.
    let note = unsafe { AtomicU32::from_ptr(Window::<K>::last_fence(cpu).cast()) };
    match note.compare_exchange(0, this << 1 | SET, Relaxed, Relaxed) {
        Err(first) if first != this << 1 | SET => Some((first & !SET) >> 1),
        _ => None,
    }
}

/// Reports if the mapping at `address` ends on another CPU than it began on: one whose slot has another address, or is empty. `here` is where
/// the slot is on a CPU.
pub(crate) fn check_same_cpu<K: Kernel>(slot: &'static str, address: usize, here: impl FnOnce(usize) -> usize) {
    let (cpu, pte) = (K::cpu(), Window::<K>::entry_of(address));
    let here = here(cpu.min(Window::<K>::CPUS));
    // SAFETY: I1: the caller has the token of the slot that was mapped.
    if address != here || unsafe { K::Paging::is_empty::<K::Machine>(pte) } {
        let mapped_by = place_of_origin::<K>(pte);
        K::report(&Report::OtherCpu { slot, cpu, address, mapped_by });
    }
}

/// Reports what is still mapped in slot `S` of this CPU, which is to be mapped again.
#[track_caller]
pub(crate) fn report_forgotten<K: Kernel, S: KmType<Set = K::KmTypes>>() {
    if let Some(mapping) = mapping::<K>(K::cpu(), S::PLACE) {
        K::report(&Report::Forgotten { mapping, caller: Some(Location::caller()) });
    }
}

/// Reports the first page of what is still mapped in a batch of this CPU, which is to be mapped again.
#[track_caller]
pub(crate) fn report_forgotten_batch<K: Kernel>(index: usize) {
    if let Some(mapping) = mapping_of_batch::<K>(K::cpu(), index, 0) {
        K::report(&Report::Forgotten { mapping, caller: Some(Location::caller()) });
    }
}

/// Reports what is still mapped in the slots of a context that ends here, of a batch its first page, and unmaps it.
pub(crate) fn check_empty<K: Kernel>(group: Group) {
    if !ON {
        return;
    }
    let slots = (0..Window::<K>::SLOTS).filter(|&slot| Window::<K>::group(slot) == group);
    for mapping in slots.filter_map(|slot| mapping::<K>(K::cpu(), slot)) {
        K::report(&Report::Forgotten { mapping, caller: None });
        trace::unmapped_forgotten::<K>(mapping.slot, mapping.address);
        atomic::unmap_forgotten::<K>(mapping.address, group);
    }
    for (index, entries) in K::KmTypes::BATCHES.iter().enumerate().filter(|(_, entries)| entries.group == group) {
        if let Some(mapping) = mapping_of_batch::<K>(K::cpu(), index, 0) {
            K::report(&Report::Forgotten { mapping, caller: None });
            // SAFETY: I1: the context that has the token ends. I4: the bytes were borrowed from the guard.
            unsafe { batch::unmap_forgotten::<K>(entries, mapping.address) };
        }
    }
}

/// Reports if the pool is used with interrupts off.
#[track_caller]
pub(crate) fn check_interrupts_on<K: Kernel>() {
    if ON && K::Machine::interrupts_on() == Some(false) {
        K::report(&Report::InterruptsOff { cpu: K::cpu(), caller: Location::caller() });
    }
}

/// Remembers who fills `pte`.
///
/// The place is in the entry of the unmapped page before it: a place is at an even address, so that the entry stays not
/// present, and of such an entry the processor ignores the rest.
#[track_caller]
pub(crate) fn remember_origin<K: Kernel>(pte: *mut <K::Paging as Paging>::Entry) {
    if let Some(note) = note::<K>(pte) {
        let place: *const Location<'static> = Location::caller();
        // SAFETY: I1: the page before a slot belongs to the slot; it is never mapped.
        unsafe { note.write_volatile(place) };
    }
}

/// Who filled `pte`.
fn place_of_origin<K: Kernel>(pte: *const <K::Paging as Paging>::Entry) -> Option<&'static Location<'static>> {
    // SAFETY: I1: the note is empty, or what `remember_origin` wrote: a pointer to a place, which lives for ever.
    unsafe { note::<K>(pte.cast_mut())?.read_volatile().as_ref() }
}

/// Where the place that fills `pte` is kept; `None` where there is no room.
fn note<K: Kernel>(pte: *mut <K::Paging as Paging>::Entry) -> Option<*mut *const Location<'static>> {
    let room = size_of::<<K::Paging as Paging>::Entry>() >= size_of::<*const Location<'static>>();
    (ON && room).then(|| pte.wrapping_sub(1).cast())
}

#[cfg(test)]
mod tests;
