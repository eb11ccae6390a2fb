//! Reads the ACPI tables with the crate `acpi`, whose handler is told to map physical memory. The firmware puts them at the end of the
//! memory below 4 GiB: a 32-bit kernel with more than its lowmem has no address for them, nor has a 64-bit one with a small direct map.
//!
//! A table goes over several pages and stays mapped for as long as its `PhysicalMapping` lives, so neither a slot nor an entry of the pool
//! will do: each is one page, and no two are neighbours. The handler copies instead, page by page through a slot. What a
//! `PhysicalMapping` gives is then as aligned as its type wants, which the tables themselves are not; and nobody else writes it.
//! This is for tables, which do not change: a register behind a copy is none, so the handler has no more than that.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ptr::NonNull;

use acpi::sdt::hpet::HpetTable;
use acpi::sdt::madt::{Madt, MadtEntry};
use acpi::{AcpiTable, AcpiTables, Handler, HpetInfo, PciAddress, PhysicalMapping};
use highmem::page::Uncached;
use highmem::{DeviceFrame, Kernel, PAGE_SIZE, Pfn, SharedFrame, kmap_atomic};
use kernel::kmap::{ExampleKernel, Paging, Task};
use kernel::memory::{self, Kind};
use kernel::{println, smp};

kernel::main!(acpi_tables);

fn acpi_tables(task: &mut Task<'_>) {
    let rsdp = memory::rsdp().expect("the boot loader has found no ACPI tables");
    let copies = Copies::new(task);
    // SAFETY: the firmware says that the tables are there.
    let tables = unsafe { AcpiTables::from_rsdp(Windows(&copies), rsdp as usize) }.expect("the tables have a root");
    println!("ACPI {}, root pointer at {rsdp:#x}", if tables.rsdp_revision == 0 { "1.0" } else { "2.0 or later" });

    let mut all: Vec<_> = tables.table_headers().collect();
    // The FADT names one that the root does not.
    let dsdt = tables.dsdt().expect("each machine has a DSDT");
    all.extend(tables.table_headers().filter(|(_, header)| header.signature.as_str() == "FACP").map(|_| {
        // SAFETY: the FADT says that this table is there.
        (dsdt.phys_address, *unsafe { Windows(&copies).map_physical_region(dsdt.phys_address, HEADER) })
    }));
    let mut high = 0;
    for (address, header) in &all {
        let mut bytes = vec![0; header.length as usize];
        // SAFETY: the root, or the FADT, says that a table is there.
        unsafe { copies.read(*address as u64, &mut bytes) };
        let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        let pages = (*address % PAGE_SIZE + bytes.len()).div_ceil(PAGE_SIZE);
        let place = if has_address(*address) { "in the direct map" } else { "has no address" };
        high += usize::from(!has_address(*address));
        println!("  {} at {address:#010x}, {:5} bytes in {pages} pages, {place}", header.signature, bytes.len());
        assert_eq!(sum, 0, "the checksum of {}", header.signature);
    }
    println!("{} tables, {high} of them without an address; all checksums are right", all.len());
    assert!(all.iter().any(|(address, header)| address % PAGE_SIZE + header.length as usize > PAGE_SIZE));

    let madt = table::<Madt>(&tables);
    let is_on = |entry: &MadtEntry<'_>| matches!(entry, MadtEntry::LocalApic(cpu) if { cpu.flags } & 1 != 0);
    let cpus = madt.get().entries().filter(is_on).count();
    println!("{cpus} CPUs in the MADT, {} started", smp::count());
    assert_eq!(cpus, smp::count(), "the kernel starts as many as four: --smp");

    let hpet = HpetInfo::new(&tables).expect("QEMU has an HPET");
    // Now that the table is read, a register: the page of a device, in a slot.
    let pfn = Pfn::<Paging>::containing(hpet.base_address as u64).expect("within reach");
    // SAFETY: the HPET's registers, which nobody else here uses; reading one has no effect on memory.
    let mut registers = unsafe { DeviceFrame::<_, Uncached>::from_pfn(pfn) };
    let said = table::<HpetTable>(&tables).event_timer_block_id;
    let is = {
        let mut task = copies.task.borrow_mut();
        let mut atomic = task.atomic();
        kmap_atomic(atomic.slots().user0, &mut registers).load::<u32>(0).expect("within the page")
    };
    println!("HPET at {:#x}, {} comparators, its register {is:#x}", hpet.base_address, hpet.num_comparators + 1);
    assert_eq!(is, said, "the table says what the register says");
}

/// The length of what each table begins with.
const HEADER: usize = size_of::<acpi::sdt::SdtHeader>();

/// Whether the byte at a physical address has an address in the direct map.
fn has_address(physical: usize) -> bool {
    let pfn = Pfn::containing(physical as u64).expect("tables are within reach");
    ExampleKernel::direct_map(pfn).is_some()
}

fn table<'c, T: AcpiTable>(tables: &AcpiTables<Windows<'c>>) -> PhysicalMapping<Windows<'c>, T> {
    let table = tables.find_table::<T>().expect("QEMU has this table");
    table.get().validate().expect("a table as it should be");
    table
}

/// What was copied, until all is dropped.
struct Copies<'t, 'e> {
    /// Preemption is off for the copy of one page.
    task: RefCell<&'t mut Task<'e>>,
    kept: RefCell<Vec<Vec<Unit>>>,
}

/// As aligned as any table wants.
type Unit = u128;

impl<'t, 'e> Copies<'t, 'e> {
    fn new(task: &'t mut Task<'e>) -> Self {
        Self { task: RefCell::new(task), kept: RefCell::new(Vec::new()) }
    }
}

/// What the handler needs of [`Copies`].
trait ReadPhysical {
    /// Copies bytes of physical memory, page by page, through a slot.
    ///
    /// # Safety
    /// They are a table of the firmware's: ordinary memory that nobody writes.
    unsafe fn read(&self, address: u64, to: &mut [u8]);

    /// Keeps a copy, and says where it is.
    fn keep(&self, copy: Vec<Unit>) -> NonNull<Unit>;
}

impl ReadPhysical for Copies<'_, '_> {
    unsafe fn read(&self, address: u64, to: &mut [u8]) {
        let mut task = self.task.borrow_mut();
        let (mut at, mut rest) = (address, to);
        while !rest.is_empty() {
            let offset = (at % PAGE_SIZE as u64) as usize;
            let (part, others) = rest.split_at_mut(rest.len().min(PAGE_SIZE - offset));
            assert!(!is_free_memory(at), "the kernel's own memory at {at:#x} is no table");
            let pfn = Pfn::<Paging>::containing(at).expect("tables are within reach");
            // SAFETY: the firmware's memory, which is not in the zones, and by this function's contract no device's.
            let page = unsafe { SharedFrame::from_pfn(pfn) };
            kmap_atomic(task.atomic().slots().user0, &page).read_at(offset, part).expect("within the page");
            at += part.len() as u64;
            rest = others;
        }
    }

    fn keep(&self, mut copy: Vec<Unit>) -> NonNull<Unit> {
        let start = NonNull::new(copy.as_mut_ptr()).expect("no vector is at zero");
        self.kept.borrow_mut().push(copy); // does not move the bytes
        start
    }
}

/// Whether a page of memory can be the kernel's own. The first MiB is not, whatever the map says: the firmware may have left something there.
fn is_free_memory(address: u64) -> bool {
    let mut regions = memory::map().regions().iter();
    regions.any(|region| region.kind == Kind::Ram && (region.start..region.end()).contains(&address))
        && address >= 1 << 20
}

/// The handler. That it borrows keeps each `PhysicalMapping` from outliving what it points to.
#[derive(Clone, Copy)]
struct Windows<'c>(&'c dyn ReadPhysical);

/// What only the interpreter asks for, or code that drives registers: memory and ports that any safe code could then write.
macro_rules! not_for_tables {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {$(
        fn $name(&self, $(_: $argument),*) $(-> $result)? {
            unimplemented!(concat!("this handler reads tables, and has no ", stringify!($name)))
        }
    )*};
}

impl Handler for Windows<'_> {
    unsafe fn map_physical_region<T>(&self, physical_address: usize, size: usize) -> PhysicalMapping<Self, T> {
        const { assert!(align_of::<T>() <= align_of::<Unit>()) };
        let mut bytes = vec![0; size.next_multiple_of(size_of::<Unit>())];
        // SAFETY: by the caller's promise there is a `T`, and what `acpi` maps without its interpreter are tables.
        unsafe { self.0.read(physical_address as u64, &mut bytes[..size]) };
        let units = bytes.chunks_exact(size_of::<Unit>());
        let copy: Vec<Unit> = units.map(|unit| Unit::from_ne_bytes(unit.try_into().expect("as long"))).collect();
        PhysicalMapping {
            physical_start: physical_address,
            virtual_start: self.0.keep(copy).cast(),
            region_length: size,
            mapped_length: bytes.len(),
            handler: *self,
        }
    }

    /// The copies go when all of them go: this function is safe to call for a mapping that is still in use.
    fn unmap_physical_region<T>(_region: &PhysicalMapping<Self, T>) {}

    not_for_tables! {
        read_u8(usize) -> u8;
        read_u16(usize) -> u16;
        read_u32(usize) -> u32;
        read_u64(usize) -> u64;
        write_u8(usize, u8);
        write_u16(usize, u16);
        write_u32(usize, u32);
        write_u64(usize, u64);
        read_io_u8(u16) -> u8;
        read_io_u16(u16) -> u16;
        read_io_u32(u16) -> u32;
        write_io_u8(u16, u8);
        write_io_u16(u16, u16);
        write_io_u32(u16, u32);
        read_pci_u8(PciAddress, u16) -> u8;
        read_pci_u16(PciAddress, u16) -> u16;
        read_pci_u32(PciAddress, u16) -> u32;
        write_pci_u8(PciAddress, u16, u8);
        write_pci_u16(PciAddress, u16, u16);
        write_pci_u32(PciAddress, u16, u32);
        nanos_since_boot() -> u64;
        stall(u64);
        sleep(u64);
    }
}
