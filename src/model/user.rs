//! User memory of the machine: the pages of a process, which are there, or come when they are wanted, or are not there at all.

use core::fmt;
use core::ops::Range;
use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec::Vec;

use super::cpu;
use super::machine::Inner;
use crate::PageBytes;
use crate::kernel::Faults;
use crate::paging::{PAGE_SHIFT, PAGE_SIZE};

/// What the kernel finds where a process has a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserPage {
    /// It is there.
    Present,
    /// It is there, and cannot be written.
    ReadOnly,
    /// It comes when a fault is handled, and stays.
    OnDemand,
    /// It comes when a fault is handled, for one access: then it is gone again. The worst that a machine short of memory can do.
    Fleeting,
}

/// The faults of the kernel in user memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UserFaults {
    /// Pages that were brought in. Each time, somebody has slept.
    pub handled: usize,
    /// Those that ended a copy.
    pub refused: usize,
}

struct Page {
    kind: UserPage,
    is_there: bool,
    bytes: Box<PageBytes>,
}

/// The pages by their numbers, and the faults so far.
#[derive(Default)]
pub(super) struct Process {
    pages: BTreeMap<usize, Page>,
    faults: UserFaults,
}

impl Process {
    /// The page with this number, if an access can be made now, or else whether a fault brings it in.
    fn access(&mut self, page: usize, is_write: bool) -> Result<&mut Page, bool> {
        match self.pages.get_mut(&page) {
            Some(page) if page.kind == UserPage::ReadOnly && is_write => Err(false),
            Some(page) if page.is_there => Ok(page),
            page => Err(page.is_some()),
        }
    }

    fn bring_in(&mut self, page: usize) {
        if let Some(page) = self.pages.get_mut(&page) {
            page.is_there = true;
            self.faults.handled += 1;
        }
    }
}

/// The memory of the process that runs on all CPUs of a [`Machine`](super::Machine): what [`UserKernel`](crate::UserKernel) copies from and
/// to. At first nothing is there.
///
/// ```
/// use highmem::model::{Machine, UserFaults, UserPage};
/// use highmem::user::{UserSlice, copy_from_user};
///
/// let machine = Machine::new();
/// machine.user().map(0x1000..0x3000, UserPage::OnDemand);
/// machine.user().write(0x1ffe, b"abcd");
///
/// let mut bytes = [0; 4];
/// machine.cpu(0).task(|task| {
///     let mut from = UserSlice::new(0x1ffe, 4).unwrap().reader();
///     copy_from_user(task, &mut bytes, &mut from).unwrap();
/// });
/// assert_eq!(&bytes, b"abcd");
/// assert_eq!(machine.user().faults(), UserFaults { handled: 2, refused: 0 });
/// ```
///
/// Before each page of a copy, and while a fault is handled, is a step: a handler or another CPU that comes there
/// ([`Cpu::interrupt_everywhere`](super::Cpu::interrupt_everywhere)) may take pages away, or write them. Faults are handled only for somebody
/// who may sleep; anybody else's copy is a panic.
#[derive(Clone, Copy)]
pub struct UserMemory<'m>(&'m Inner);

impl<'m> UserMemory<'m> {
    pub(super) fn new(inner: &'m Inner) -> Self {
        Self(inner)
    }

    /// The process has these pages, from the one with the first address to the one with the last. A new one is zeros; one that the
    /// process has is as it was, and may change its kind: what is made [`OnDemand`](UserPage::OnDemand) is gone until it is wanted.
    pub fn map(self, addresses: Range<usize>, kind: UserPage) {
        let is_there = matches!(kind, UserPage::Present | UserPage::ReadOnly);
        let pages = &mut self.0.process().pages;
        for page in numbers(addresses) {
            let bytes = pages.remove(&page).map_or_else(|| Box::new([0; PAGE_SIZE]), |page| page.bytes);
            pages.insert(page, Page { kind, is_there, bytes });
        }
    }

    /// The process has these pages no longer.
    pub fn unmap(self, addresses: Range<usize>) {
        let pages = &mut self.0.process().pages;
        numbers(addresses).for_each(|page| drop(pages.remove(&page)));
    }

    /// Writes to user memory, as the process does.
    ///
    /// # Panics
    /// If the process has no page there.
    pub fn write(self, address: usize, bytes: &[u8]) {
        let pages = &mut self.0.process().pages;
        for (at, &byte) in (address..).zip(bytes) {
            let page = pages.get_mut(&(at >> PAGE_SHIFT));
            page.unwrap_or_else(|| panic!("the process has no page at {at:#x}")).bytes[at % PAGE_SIZE] = byte;
        }
    }

    /// What is in user memory: `len` bytes.
    ///
    /// # Panics
    /// If the process has no page there.
    pub fn read(self, address: usize, len: usize) -> Vec<u8> {
        let pages = &self.0.process().pages;
        let byte = |at: usize| {
            let page = pages.get(&(at >> PAGE_SHIFT));
            page.unwrap_or_else(|| panic!("the process has no page at {at:#x}")).bytes[at % PAGE_SIZE]
        };
        (address..address + len).map(byte).collect()
    }

    /// The faults so far.
    pub fn faults(self) -> UserFaults {
        self.0.process().faults
    }
}

impl fmt::Debug for UserMemory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserMemory({} pages, {:?})", self.0.process().pages.len(), self.faults())
    }
}

/// The numbers of the pages of these addresses.
fn numbers(addresses: Range<usize>) -> Range<usize> {
    addresses.start >> PAGE_SHIFT..addresses.end.div_ceil(PAGE_SIZE)
}

/// Goes over `len` bytes of user memory from `address` on, to write to them or not, page by page; `copy` gets a part, and how many bytes
/// were before it. Returns how many bytes at the end it has not got.
pub(super) fn copy(
    (address, len): (usize, usize),
    is_write: bool,
    faults: Faults,
    mut copy: impl FnMut(&mut [u8], usize),
) -> usize {
    if faults == Faults::Handled {
        cpu::assert_may_sleep("copies user memory with its faults handled");
    }
    let machine = cpu::machine();
    let mut done = 0;
    while done < len {
        let at = address + done;
        let (number, offset) = (at >> PAGE_SHIFT, at % PAGE_SIZE);
        cpu::step(|_| ());
        let mut process = machine.process();
        match (process.access(number, is_write), faults) {
            (Ok(page), _) => {
                let count = (len - done).min(PAGE_SIZE - offset);
                copy(&mut page.bytes[offset..][..count], done);
                page.is_there = page.kind != UserPage::Fleeting;
                done += count;
            }
            (Err(true), Faults::Handled) => {
                drop(process);
                cpu::step(|_| ());
                machine.process().bring_in(number);
            }
            _ => {
                process.faults.refused += 1;
                break;
            }
        }
    }
    len - done
}
