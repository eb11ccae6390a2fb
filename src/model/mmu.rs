//! The page walkers and the TLBs of all CPUs, between the page tables and what the host shows at the window's addresses.
//!
//! Each store to an entry is looked at as a walker would look at it. What the CPUs that use a page have cached of it is what the
//! host shows there: a frame of the memory, or nothing.

use std::format;
use std::string::String;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use rustix::fd::BorrowedFd;

use super::fault::{self, Fault, What};
use super::layout;
use super::tlb::{Cached, Tlb, Translation};
use crate::machine::Word;
use crate::paging::PAGE_SHIFT;

/// Whose page of the window it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// It lies between slots, or behind them.
    Nobody,
    /// A slot.
    OfSlot { cpu: usize, name: &'static str },
    /// All CPUs see it.
    All,
    /// All CPUs see it: an entry of the pool.
    OfPool { entry: usize },
}

/// A translation that is cached although its entry says something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stale {
    /// The CPU that has it cached.
    pub cpu: usize,
    /// The address.
    pub address: usize,
    /// The frame that the CPU takes it for.
    pub pfn: u64,
}

/// A fault, and whether somebody has been told.
struct Recorded {
    fault: Fault,
    told: bool,
}

/// The state of the machine that runs.
pub(super) struct Mmu {
    memory: BorrowedFd<'static>,
    frames: u64,
    /// Where the entries of the pool are.
    pool: *mut u8,
    entry_size: usize,
    no_execute: bool,
    pat: u64,
    tlbs: Vec<Tlb>,
    owners: Vec<Owner>,
    shown: Vec<Option<(u64, bool)>>,
    clock: u64,
    faults: Vec<Recorded>,
    reports: Vec<String>,
}

// SAFETY: the pointer is to entries, which are read and written under the lock.
unsafe impl Send for Mmu {}

static MMU: Mutex<Option<Mmu>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Mmu>> {
    MMU.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Works on the machine that runs.
pub(super) fn with<R>(f: impl FnOnce(&mut Mmu) -> R) -> R {
    f(lock().as_mut().expect("a machine runs"))
}

/// What a machine is started with.
pub(super) struct Start {
    pub(super) memory: BorrowedFd<'static>,
    pub(super) frames: u64,
    pub(super) cpus: usize,
    pub(super) pool: *mut u8,
    pub(super) entry_size: usize,
    pub(super) no_execute: bool,
    pub(super) pat: u64,
    pub(super) owners: Vec<Owner>,
}

/// Starts with empty tables.
pub(super) fn start(start: Start) {
    let Start { memory, frames, cpus, pool, entry_size, no_execute, pat, owners } = start;
    let mut tlbs = Vec::new();
    tlbs.resize_with(cpus, Tlb::default);
    let shown = owners.iter().map(|_| None).collect();
    let (clock, faults, reports) = (0, Vec::new(), Vec::new());
    *lock() =
        Some(Mmu { memory, frames, pool, entry_size, no_execute, pat, tlbs, owners, shown, clock, faults, reports });
}

/// Ends with empty tables, and nothing mapped.
pub(super) fn stop() {
    let mut mmu = lock();
    if let Some(mmu) = mmu.as_mut() {
        mmu.collect();
        for page in 0..mmu.owners.len() {
            // SAFETY: I1: no context is left that could use the entry.
            unsafe { layout::entry_of(page, mmu.entry_size, mmu.pool).write_bytes(0, mmu.entry_size) };
            mmu.tlbs.iter_mut().for_each(Tlb::forget_all);
            mmu.refresh(page);
        }
    }
    *mmu = None;
}

impl Mmu {
    /// The entry of a page, as it lies in memory.
    fn entry(&self, page: usize) -> u64 {
        let at = layout::entry_of(page, self.entry_size, self.pool);
        // SAFETY: I9: within the tables; all stores to them are made under the lock that `self` is behind.
        unsafe {
            if self.entry_size == size_of::<u32>() {
                at.cast::<u32>().read_volatile().into()
            } else {
                at.cast::<u64>().read_volatile()
            }
        }
    }

    /// What a walker finds for a page. `cpu` is who made the entry so.
    fn walk(&mut self, cpu: usize, page: usize) -> Option<Translation> {
        match Translation::decode(self.entry(page), self.entry_size, self.no_execute, self.pat) {
            Ok(Some(translation)) if translation.pfn >= self.frames => {
                self.record(cpu, page, What::NoSuchFrame { pfn: translation.pfn });
                None
            }
            Ok(translation) => translation,
            Err(_) => {
                self.record(cpu, page, What::ReservedBit);
                None
            }
        }
    }

    /// The CPUs that use a page.
    fn users(&self, page: usize) -> core::ops::Range<usize> {
        match self.owners[page] {
            Owner::Nobody => 0..0,
            Owner::OfSlot { cpu, .. } => cpu..cpu + 1,
            Owner::All | Owner::OfPool { .. } => 0..self.tlbs.len(),
        }
    }

    /// A store to a word of the tables, by `cpu`. Returns whether the page of the pool that it maps, if it does, was forgotten by all.
    ///
    /// # Safety
    /// As [`write`](crate::machine::Machine::write).
    pub(super) unsafe fn store<W: Word>(&mut self, cpu: usize, at: *mut W, value: W) -> bool {
        let page = layout::entry(at.addr(), self.entry_size, self.pool).filter(|&page| page < self.owners.len());
        let from = page.map(|page| self.entry(page));
        // SAFETY: I1: only the caller writes this entry.
        unsafe { at.write_volatile(value) };
        let (Some(page), Some(from)) = (page, from) else { return true };
        let to = self.entry(page);
        if !matches!(self.owners[page], Owner::OfSlot { cpu: owner, .. } if owner == cpu)
            && !matches!(self.owners[page], Owner::All | Owner::OfPool { .. })
        {
            self.record(cpu, page, What::ForeignEntry);
        }
        if from & to & 1 != 0 && from != to {
            self.record(cpu, page, What::ChangedWhilePresent { from, to });
        }
        let mut is_clean = true;
        if let Some(translation) = self.walk(cpu, page) {
            if let Owner::OfPool { entry } = self.owners[page] {
                is_clean = self.check_forgotten(cpu, page, entry, translation);
            }
            for user in self.users(page) {
                self.fill(user, page, translation);
            }
        }
        self.refresh(page);
        is_clean
    }

    /// Records who still has something else cached for an entry of the pool, which maps this from here on. Returns whether nobody has.
    fn check_forgotten(&mut self, cpu: usize, page: usize, entry: usize, now: Translation) -> bool {
        let cached = |by: usize| self.tlbs[by].all_of(page).into_iter().map(move |cached| (by, cached.translation));
        let wrong = self.users(page).flat_map(cached).find(|(_, cached)| !cached.agrees_with(Some(now)));
        if let Some((by, Translation { pfn: was, .. })) = wrong {
            self.record(cpu, page, What::StillCached { entry, by, was, now: now.pfn });
        }
        wrong.is_none()
    }

    fn fill(&mut self, cpu: usize, page: usize, translation: Translation) {
        self.clock += 1;
        self.tlbs[cpu].fill(page, translation, self.clock);
    }

    /// `invlpg` by `cpu`. If the entry is present, the processor may fetch it again at once, so it does.
    pub(super) fn invlpg(&mut self, cpu: usize, address: usize) {
        let Some(page) = layout::page(address).filter(|&page| page < self.owners.len()) else { return };
        self.tlbs[cpu].forget(page);
        self.refetch(cpu, page);
    }

    /// Has `cpu` forget what `forget` says, and fetch again all that is present.
    pub(super) fn flush(&mut self, cpu: usize, forget: impl FnOnce(&mut Tlb)) {
        forget(&mut self.tlbs[cpu]);
        for page in 0..self.owners.len() {
            self.refetch(cpu, page);
        }
    }

    fn refetch(&mut self, cpu: usize, page: usize) {
        if self.users(page).contains(&cpu)
            && let Some(translation) = self.walk(cpu, page)
        {
            self.fill(cpu, page, translation);
        }
        self.refresh(page);
    }

    /// What the host is to show: what the CPU with the oldest translation sees. There is one address for all CPUs.
    fn seen(&self, page: usize) -> Option<Cached> {
        self.users(page).filter_map(|cpu| self.tlbs[cpu].lookup(page)).min_by_key(|cached| cached.age)
    }

    fn refresh(&mut self, page: usize) {
        let frame = self.seen(page).map(|cached| (cached.translation.pfn, cached.translation.writable));
        if self.shown[page] != frame {
            self.shown[page] = frame;
            fault::show(self.memory, page, frame);
        }
    }

    /// CR4.PCIDE, EFER.NXE and IA32_PAT. PCIDs are there as soon as one is used.
    pub(super) fn registers(&self) -> (bool, bool, u64) {
        (self.tlbs.iter().any(Tlb::has_pcid), self.no_execute, self.pat)
    }

    /// What the CPUs take a page for.
    pub(super) fn translation(&self, address: usize) -> Option<Translation> {
        let page = layout::page(address).filter(|&page| page < self.owners.len())?;
        Some(self.seen(page)?.translation)
    }

    /// What is cached and not so, in any address space.
    pub(super) fn stale(&self, of: impl Fn(Owner) -> bool) -> Vec<Stale> {
        let mut stale = Vec::new();
        for page in (0..self.owners.len()).filter(|&page| of(self.owners[page])) {
            let now = Translation::decode(self.entry(page), self.entry_size, self.no_execute, self.pat).ok().flatten();
            for cpu in self.users(page) {
                let cached = self.tlbs[cpu].all_of(page).into_iter();
                let wrong = cached.filter(|cached| !cached.translation.agrees_with(now));
                stale.extend(wrong.map(|Cached { translation, .. }| Stale {
                    cpu,
                    address: layout::address(page),
                    pfn: translation.pfn,
                }));
            }
        }
        stale
    }

    /// Records what is stale in the slots of `cpu`, which are not in use.
    pub(super) fn check_slots(&mut self, cpu: usize) {
        let own = |owner| matches!(owner, Owner::OfSlot { cpu: owner, .. } if owner == cpu);
        for Stale { address, pfn, .. } in self.stale(own) {
            self.record(cpu, (address - layout::BASE) >> PAGE_SHIFT, What::Stale { pfn });
        }
    }

    fn record(&mut self, cpu: usize, page: usize, what: What) {
        self.record_at(cpu, layout::address(page), what);
    }

    fn record_at(&mut self, cpu: usize, address: usize, what: What) {
        let owner = layout::page(address).and_then(|page| self.owners.get(page));
        let slot = match owner {
            Some(&Owner::OfSlot { cpu, name }) => Some((name, cpu)),
            _ => None,
        };
        self.faults.push(Recorded { fault: Fault { what, address, slot, cpu }, told: false });
    }

    /// Takes over the accesses that the host refused, and shows their pages again as they are.
    fn collect(&mut self) {
        for refused in fault::refused() {
            self.record_at(refused.cpu, refused.address, refused.what);
            if let Some(page) = layout::page(refused.address).filter(|&page| page < self.owners.len()) {
                fault::show(self.memory, page, self.shown[page]);
            }
        }
    }

    /// All faults so far; from now on they are forgotten.
    pub(super) fn take_faults(&mut self) -> Vec<Fault> {
        self.collect();
        self.faults.drain(..).map(|recorded| recorded.fault).collect()
    }

    /// The faults that nobody has been told of: those of a CPU, or of all. They stay in the list.
    pub(super) fn tell(&mut self, cpu: Option<usize>) -> Option<String> {
        self.collect();
        let mut text = String::new();
        for recorded in &mut self.faults {
            if !recorded.told && cpu.is_none_or(|cpu| cpu == recorded.fault.cpu) {
                recorded.told = true;
                text.push_str(&format!("\n{}", recorded.fault));
            }
        }
        (!text.is_empty()).then(|| format!("the machine has faults:{text}"))
    }

    /// Records what the crate reports to the kernel.
    pub(super) fn report(&mut self, report: String) {
        self.reports.push(report);
    }

    /// All reports so far; from now on they are forgotten.
    pub(super) fn take_reports(&mut self) -> Vec<String> {
        core::mem::take(&mut self.reports)
    }
}
