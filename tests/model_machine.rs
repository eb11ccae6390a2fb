//! The model behaves as the hardware does, at its worst, and the crate does what it has to, and no more.

mod model;

use std::cell::RefCell;
use std::marker::PhantomData;
use std::mem;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;

use highmem::debug::{Serving, State};
use highmem::fixmap::slots_of_cpu;
use highmem::lazy::flush_lazy;
use highmem::linux::{Set, User0};
use highmem::machine::Machine as _;
use highmem::model::{Config, Counts, FREED, FRESH, Fault, Hardware, Machine, ModelKernel, What, Zone};
use highmem::page::ReadWrite;
use highmem::paging::{MemoryType, NonPae, Pae, Paging, Protection};
use highmem::tlb::Translations;
use highmem::{
    DeviceFrame, Frame, Kernel, PAGE_SIZE, Page, PageBytes, Pfn, Slot, Task, ViewError, kmap_atomic, kmap_batch,
    kunmap_atomic, selftest,
};
use model::{in_each_mode, panic_of, words_per_entry};

type K<P> = ModelKernel<P>;

const DEBUG: bool = cfg!(feature = "debug");

in_each_mode!(
    a_mapping_shows_the_frames_own_bytes,
    frames_that_differ_in_one_bit_are_different,
    a_pair_is_one_entry_written_one_cleared_one_invlpg,
    lowmem_touches_no_entry,
    a_forgotten_guard_costs_one_more_clear_and_flush,
    a_read_after_unmap_is_reported_with_slot_address_and_cpu,
    a_write_after_unmap_is_lost_and_reported,
    a_write_through_a_read_only_mapping_is_lost_and_reported,
    a_fault_becomes_a_panic_at_the_next_mapping,
    a_fault_becomes_a_panic_at_the_end_of_the_task,
    a_missing_flush_shows_as_stale_bytes,
    a_flush_before_the_clear_is_too_early,
    a_missing_flush_is_reported_at_the_end_of_the_task,
    a_present_entry_that_changes_is_reported,
    an_entry_of_another_cpu_is_reported,
    a_frame_beyond_the_end_of_memory_is_reported,
    data_is_not_executable_where_that_can_be_said,
    a_device_has_its_memory_type,
    all_cpus_must_flush_a_page_that_all_see,
    a_global_translation_outlives_cr3,
    another_address_space_keeps_its_translation,
    the_selftest_passes,
    the_selftest_passes_with_batches,
    the_page_is_freed_after_it_is_unmapped,
    a_lazy_slot_shows_each_page_its_own_bytes,
    a_lazy_slot_costs_nothing_for_the_same_page,
    a_batch_shows_each_page_its_own_bytes_in_its_place,
    a_batch_is_emptied_and_then_flushed_page_by_page_or_at_once,
    a_forgotten_batch_is_emptied_by_the_next_and_a_panic_leaves_nothing,
    a_kernel_with_pcids_forgets_in_all_address_spaces,
    a_global_translation_of_a_slot_is_forgotten_in_all_address_spaces,
);

fn config() -> Config {
    Config::default()
}

fn with_user0<P: Paging, R>(machine: &Machine<P>, f: impl FnOnce(Slot<'_, K<P>, User0>) -> R) -> R {
    machine.cpu(0).task(|task| f(task.atomic().slots().user0))
}

/// The address of slot `User0` of a CPU, and its entry.
fn user0<P: Paging>(cpu: usize) -> (usize, *mut P::Entry) {
    let (name, address) = slots_of_cpu::<K<P>>(cpu).next().expect("there are slots");
    assert_eq!(name, "User0");
    let first = (&raw const *K::<P>::fixmap()).cast_mut().cast::<P::Entry>();
    (address, first.wrapping_add((address - K::<P>::FIXMAP_BASE) / PAGE_SIZE))
}

fn entry<P: Paging>(page: &impl Page<Paging = P>) -> P::Entry {
    P::entry(page.pfn().number(), Protection::new(true).no_execute(true))
}

fn read(address: usize) -> u8 {
    let at: *const u8 = std::ptr::with_exposed_provenance(address);
    // SAFETY: an address of the model's window: it has a byte, or the model reports a fault.
    unsafe { at.read_volatile() }
}

fn write(address: usize, byte: u8) {
    let at: *mut u8 = std::ptr::with_exposed_provenance_mut(address);
    // SAFETY: an address of the model's window, and no reference is there.
    unsafe { at.write_volatile(byte) }
}

fn set<P: Paging>(pte: *mut P::Entry, page: &impl Page<Paging = P>) {
    // SAFETY: I1: an entry that the test alone uses.
    unsafe { P::set::<Hardware<P>>(pte, entry(page)) }
}

fn clear<P: Paging>(pte: *mut P::Entry) {
    // SAFETY: I1: an entry that the test alone uses.
    unsafe { P::clear::<Hardware<P>>(pte) }
}

fn invlpg<P: Paging>(address: usize) {
    // SAFETY: the model needs no privilege.
    unsafe { Hardware::<P>::invlpg(address) }
}

/// Two frames with bytes of their own.
fn two_frames<P: Paging>(machine: &Machine<P>) -> [highmem::model::Frame<P>; 2] {
    [1, 2].map(|byte| {
        let mut frame = machine.alloc(Zone::High);
        with_user0(machine, |slot| kmap_atomic(slot, &mut frame).fill(byte));
        frame
    })
}

fn a_mapping_shows_the_frames_own_bytes<P: Paging>() {
    let machine = Machine::<P>::with(Config { memory: 1 << 36, ..config() });
    let mut frame = machine.alloc(Zone::High);
    assert_eq!(frame.pfn().number(), machine.frames() - 1);
    assert_eq!(machine.frames(), (1 << P::PFN_BITS).min(1 << 24));
    with_user0(&machine, |slot| {
        let mut mapped = kmap_atomic(slot, &mut frame);
        assert_eq!(mapped[..], [FRESH; PAGE_SIZE]);
        mapped[7] = 42;
        let (_, frame) = kunmap_atomic(mapped);
        assert_eq!(machine.peek(frame.pfn())[7], 42);
    });
}

fn frames_that_differ_in_one_bit_are_different<P: Paging>() {
    let bits = P::PFN_BITS.min(30);
    let machine = Machine::<P>::with(Config { memory: 1 << (bits + 12), ..config() });
    let all_ones = (1 << bits) - 1;
    let pfns = (0..bits).map(|bit| Pfn::<P>::new(all_ones ^ 1 << bit).unwrap());
    let mut frames: Vec<_> = pfns.map(|pfn| machine.alloc_at(pfn)).collect();
    for (number, frame) in frames.iter_mut().enumerate() {
        with_user0(&machine, |slot| kmap_atomic(slot, frame).fill(number as u8));
    }
    for (number, frame) in frames.iter().enumerate() {
        assert_eq!(machine.peek(frame.pfn()), [number as u8; PAGE_SIZE]);
        with_user0(&machine, |slot| assert_eq!(kmap_atomic(slot, frame)[..], [number as u8; PAGE_SIZE]));
    }
}

fn a_pair_is_one_entry_written_one_cleared_one_invlpg<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let frame = machine.alloc(Zone::High);
    let stores = words_per_entry::<P>();
    with_user0(&machine, |slot| {
        let (guard, map) = machine.cpu(0).count(|| kmap_atomic(slot, &frame));
        let ((), unmap) = machine.cpu(0).count(|| drop(guard));
        assert_eq!(map, Counts { loads: 1, stores, invlpg: 0, flush_all: 0, barriers: 1 });
        assert_eq!(unmap, Counts { loads: usize::from(DEBUG), stores, invlpg: 1, flush_all: 0, barriers: 1 });
    });
}

fn lowmem_touches_no_entry<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let mut frame = machine.alloc(Zone::Low);
    assert!(frame.pfn().address() < config().lowmem);
    with_user0(&machine, |slot| {
        let ((), counts) = machine.cpu(0).count(|| kmap_atomic(slot, &mut frame).fill(3));
        assert_eq!(counts, Counts::default());
    });
    assert_eq!(machine.peek(frame.pfn()), [3; PAGE_SIZE]);
    drop((frame, machine));

    let machine = Machine::<P, Set, true>::with(config());
    let frame = machine.alloc(Zone::Low);
    machine.cpu(0).task(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let ((), counts) = machine.cpu(0).count(|| drop(kmap_atomic(slots.user0, &frame)));
        assert_eq!((counts.stores, counts.invlpg), (2 * words_per_entry::<P>(), 1), "FORCE_MAP");
    });
}

fn a_forgotten_guard_costs_one_more_clear_and_flush<P: Paging>() {
    let machine = Machine::<P>::with(Config { panic_on_report: false, ..config() });
    let [one, two] = two_frames(&machine);
    with_user0(&machine, |mut slot| {
        mem::forget(kmap_atomic(slot.reborrow(), &one));
        let (guard, counts) = machine.cpu(0).count(|| kmap_atomic(slot, &two));
        assert_eq!((counts.stores, counts.invlpg), (2 * words_per_entry::<P>(), 1));
        assert_eq!(guard[0], 2);
    });
    assert_eq!(machine.reports().len(), usize::from(DEBUG));
}

/// A guard's address, after the guard.
fn dangling<P: Paging>(slot: Slot<'_, K<P>, User0>, page: &mut highmem::model::Frame<P>) -> usize {
    let guard = kmap_atomic(slot, page);
    guard.address()
}

fn a_read_after_unmap_is_reported_with_slot_address_and_cpu<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let mut frame = machine.alloc(Zone::High);
    machine.cpu(1).task(|task| {
        let address = dangling(task.atomic().slots().user0, &mut frame) + 8;
        assert_eq!(read(address), 0xcc);
        let expected = Fault { what: What::Read, address, slot: Some(("User0", 1)), cpu: 1 };
        assert_eq!(machine.faults(), [expected]);
        assert_eq!(
            expected.to_string(),
            format!("slot User0 of CPU 1 at {address:#x}: CPU 1 reads, and nothing is mapped there")
        );
    });
}

fn a_write_after_unmap_is_lost_and_reported<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let mut frame = machine.alloc(Zone::High);
    with_user0(&machine, |slot| {
        let address = dangling(slot, &mut frame);
        write(address, 1);
        assert_eq!(machine.faults()[0].what, What::Write);
    });
    assert_eq!(machine.peek(frame.pfn()), [FRESH; PAGE_SIZE]);
}

fn a_write_through_a_read_only_mapping_is_lost_and_reported<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let frame = machine.alloc(Zone::High);
    with_user0(&machine, |slot| {
        let mapped = kmap_atomic(slot, &frame);
        write(mapped.address() + 4095, 1);
        assert_eq!(read(mapped.address()), FRESH, "what is read goes on");
        let [fault] = machine.faults()[..] else { panic!("one fault") };
        assert_eq!((fault.what, fault.slot, fault.cpu), (What::WriteToReadOnly, Some(("User0", 0)), 0));
    });
    assert_eq!(machine.peek(frame.pfn()), [FRESH; PAGE_SIZE]);
}

fn a_fault_becomes_a_panic_at_the_next_mapping<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let mut frame = machine.alloc(Zone::High);
    let mut after = false;
    let message = panic_of(|| {
        machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            let address = dangling(slots.user0.reborrow(), &mut frame);
            read(address);
            drop(kmap_atomic(slots.user0, &frame));
            after = true;
        })
    });
    assert!(!after);
    assert!(message.contains("slot User0 of CPU 0") && message.contains("CPU 0 reads"), "{message}");
    assert_eq!(machine.faults().len(), 1);
    // All is as it was, for whoever catches the panic.
    with_user0(&machine, |slot| assert_eq!(kmap_atomic(slot, &frame)[0], FRESH));
}

fn a_fault_becomes_a_panic_at_the_end_of_the_task<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let mut frame = machine.alloc(Zone::High);
    let message = panic_of(|| with_user0(&machine, |slot| read(dangling(slot, &mut frame))));
    assert!(message.contains("slot User0 of CPU 0") && message.contains("CPU 0 reads"), "{message}");
}

fn a_missing_flush_shows_as_stale_bytes<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let [one, two] = two_frames(&machine);
    let (address, pte) = user0::<P>(0);
    machine.cpu(0).task(|_| {
        set(pte, &one);
        assert_eq!(read(address), 1);
        clear::<P>(pte);
        assert_eq!(read(address), 1, "the entry is gone, the translation is not");
        let [stale] = machine.stale()[..] else { panic!("one is stale") };
        assert_eq!((stale.cpu, stale.address, stale.pfn), (0, address, one.pfn().number() as u64));
        set(pte, &two);
        assert_eq!(read(address), 1, "the entry is another, the translation is not");
        invlpg::<P>(address);
        assert_eq!(read(address), 2);
        clear::<P>(pte);
        invlpg::<P>(address);
    });
    assert_eq!(machine.stale(), []);
}

fn a_flush_before_the_clear_is_too_early<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let [one, _] = two_frames(&machine);
    let (address, pte) = user0::<P>(0);
    machine.cpu(0).task(|_| {
        set(pte, &one);
        invlpg::<P>(address);
        clear::<P>(pte);
        assert_eq!(machine.stale().len(), 1, "fetched again in between");
        invlpg::<P>(address);
    });
}

fn a_missing_flush_is_reported_at_the_end_of_the_task<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let [one, _] = two_frames(&machine);
    let (_, pte) = user0::<P>(0);
    let message = panic_of(|| {
        machine.cpu(0).task(|_| {
            set(pte, &one);
            clear::<P>(pte);
        })
    });
    assert!(message.contains("slot User0 of CPU 0") && message.contains("is still cached"), "{message}");
}

fn a_present_entry_that_changes_is_reported<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let [one, two] = two_frames(&machine);
    let (address, pte) = user0::<P>(0);
    machine.cpu(0).task(|_| {
        set(pte, &one);
        set(pte, &two);
        assert!(matches!(machine.faults()[0].what, What::ChangedWhilePresent { .. }));
        clear::<P>(pte);
        invlpg::<P>(address);
    });
}

#[test]
fn a_pae_entry_that_is_present_before_its_high_half_names_another_frame() {
    let machine = Machine::<Pae>::with(config());
    let [high, _] = two_frames(&machine);
    let pfn = high.pfn().number() as u64;
    assert!(pfn > 1 << 20);
    let wrong = machine.alloc_at(Pfn::new(pfn & 0xf_ffff).unwrap());
    let (address, pte) = user0::<Pae>(0);
    let entry = entry(&high).0;
    let halves = pte.cast::<u32>();
    machine.cpu(0).task(|_| {
        // SAFETY: I1: an entry that the test alone uses.
        unsafe {
            Hardware::<Pae>::write(halves, entry as u32);
            Hardware::<Pae>::write(halves.add(1), (entry >> 32) as u32);
        }
        assert_eq!(read(address), FRESH, "the byte of the frame 4 GiB below");
        let seen = machine.translation(address).unwrap();
        assert_eq!(seen.pfn, wrong.pfn().number() as u64);
        assert!(matches!(machine.faults()[0].what, What::ChangedWhilePresent { .. }));
        clear::<Pae>(pte);
        invlpg::<Pae>(address);
    });
}

fn an_entry_of_another_cpu_is_reported<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let [one, _] = two_frames(&machine);
    let (address, pte) = user0::<P>(1);
    machine.cpu(0).task(|_| {
        set(pte, &one);
        let fault = machine.faults()[0];
        assert_eq!((fault.what, fault.slot, fault.cpu), (What::ForeignEntry, Some(("User0", 1)), 0));
        clear::<P>(pte);
        machine.faults();
        invlpg::<P>(address);
        assert_eq!(read(address), 1, "the flush was that of CPU 0");
    });
    machine.cpu(1).flush_all();
    assert_eq!(machine.translation(address), None);
}

fn a_frame_beyond_the_end_of_memory_is_reported<P: Paging>() {
    let machine = Machine::<P>::with(Config { memory: 1 << 30, ..config() });
    // SAFETY: I5: nothing is there that could be touched.
    let nothing = unsafe { Frame::<P>::from_pfn(Pfn::new(1 << 18).unwrap()) };
    with_user0(&machine, |slot| {
        let mapped = kmap_atomic(slot, &nothing);
        let [fault] = machine.faults()[..] else { panic!("one fault") };
        assert_eq!(fault.what, What::NoSuchFrame { pfn: 1 << 18 });
        assert_eq!(mapped[0], 0xcc);
        assert_eq!(machine.faults()[0].what, What::Read);
    });
}

fn data_is_not_executable_where_that_can_be_said<P: Paging>() {
    for no_execute in [true, false] {
        let machine = Machine::<P>::with(Config { no_execute, ..config() });
        let frame = machine.alloc(Zone::High);
        with_user0(&machine, |slot| {
            let mapped = kmap_atomic(slot, &frame);
            let seen = machine.translation(mapped.address()).unwrap();
            assert_eq!(seen.executable, !no_execute || P::PFN_BITS == NonPae::PFN_BITS);
            assert_eq!((seen.pfn, seen.writable, seen.global), (frame.pfn().number() as u64, false, false));
        });
    }
}

#[test]
fn an_entry_that_forbids_execution_faults_where_that_cannot_be_said() {
    let machine = Machine::<Pae>::with(Config { no_execute: false, ..config() });
    let frame = machine.alloc(Zone::High);
    let (_, pte) = user0::<Pae>(0);
    machine.cpu(0).task(|_| {
        set(pte, &frame);
        assert_eq!(machine.faults()[0].what, What::ReservedBit);
        clear::<Pae>(pte);
    });
}

fn a_device_has_its_memory_type<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let frame = machine.alloc(Zone::Low);
    // SAFETY: I5: the frame is not used otherwise.
    let device = unsafe { DeviceFrame::<P>::from_pfn(frame.pfn()) };
    with_user0(&machine, |slot| {
        let mapped = kmap_atomic(slot, &device);
        assert_eq!(machine.translation(mapped.address()).unwrap().memory_type, MemoryType::Uncached);
    });
}

fn all_cpus_must_flush_a_page_that_all_see<P: Paging>() {
    let machine = Machine::<P>::with(Config { cpus: 3, ..config() });
    let [one, two] = two_frames(&machine);
    let (address, pte) = machine.shared_page(5);
    machine.cpu(0).task(|_| {
        set(pte, &one);
        assert_eq!(read(address), 1);
        clear::<P>(pte);
        invlpg::<P>(address);
        assert_eq!(machine.stale().iter().map(|stale| stale.cpu).collect::<Vec<_>>(), [1, 2]);
        set(pte, &two);
        assert_eq!(read(address), 1, "two CPUs have it as it was");
    });
    machine.cpu(1).task(|_| invlpg::<P>(address));
    assert_eq!(read(address), 1, "one CPU has it as it was");
    machine.cpu(2).load_cr3(0, false);
    assert_eq!(read(address), 2);
    machine.cpu(2).task(|_| clear::<P>(pte));
    (0..3).for_each(|cpu| machine.cpu(cpu).flush_all());
    assert_eq!(machine.translation(address), None);
}

/// Sets the entry of a shared page, with the bit G if `global`.
fn set_shared<P: Paging>(pte: *mut P::Entry, page: &impl Page<Paging = P>, global: bool) {
    let g = u32::from(global) << 8;
    let pfn = page.pfn().number();
    // SAFETY: I1: an entry that the test alone uses. The half with the present bit is written last.
    unsafe {
        if size_of::<P::Entry>() == 8 {
            Hardware::<P>::write(pte.cast::<u32>().add(1), (pfn >> 20) as u32);
        }
        Hardware::<P>::write(pte.cast::<u32>(), (pfn << 12) as u32 | g | 1);
    }
}

fn a_global_translation_outlives_cr3<P: Paging>() {
    let machine = Machine::<P>::with(Config { cpus: 1, ..config() });
    let [one, _] = two_frames(&machine);
    let (address, pte) = machine.shared_page(0);
    for (global, stays) in [(false, false), (true, true)] {
        machine.cpu(0).task(|_| {
            set_shared(pte, &one, global);
            clear::<P>(pte);
        });
        machine.cpu(0).load_cr3(0, false);
        assert_eq!(machine.translation(address).is_some(), stays);
        machine.cpu(0).flush_all();
        assert_eq!(machine.translation(address), None);
    }
}

fn another_address_space_keeps_its_translation<P: Paging>() {
    let machine = Machine::<P>::with(Config { cpus: 1, ..config() });
    let [one, _] = two_frames(&machine);
    let (address, pte) = machine.shared_page(0);
    let cpu = machine.cpu(0);
    cpu.task(|_| set_shared(pte, &one, false));
    cpu.load_cr3(1, true);
    cpu.task(|_| {
        clear::<P>(pte);
        invlpg::<P>(address);
    });
    assert_eq!(machine.translation(address), None);
    cpu.load_cr3(0, true);
    assert!(machine.translation(address).is_some(), "as it was when this address space was left");
    cpu.invpcid(address, 0);
    assert_eq!(machine.translation(address), None);
}

fn the_selftest_passes<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let [one, two] = two_frames(&machine);
    for cpu in 0..2 {
        let pages = [(&one, u64::from_le_bytes([1; 8])), (&two, u64::from_le_bytes([2; 8]))];
        machine.cpu(cpu).task(|task| selftest(task, pages, |address| machine.try_read(address)).unwrap());
    }
}

fn the_selftest_passes_with_batches<P: Paging>() {
    let machine = Machine::<P, batch_km::Set>::with(config());
    let [one, two] = [1, 2].map(|byte| {
        let frame = machine.alloc(Zone::High).share();
        machine.poke(frame.pfn(), 0, &[byte; 8]);
        frame
    });
    let pages = [(&one, u64::from_le_bytes([1; 8])), (&two, u64::from_le_bytes([2; 8]))];
    machine.cpu(1).task(|task| selftest(task, pages, |address| machine.try_read(address)).unwrap());
}

/// A page that looks whether it is still mapped when it is dropped.
struct Watched<'m, P: Paging>(highmem::model::Frame<P>, &'m Machine<P>);

// SAFETY: I5, I6: as the frame in it.
unsafe impl<P: Paging> Page for Watched<'_, P> {
    type Paging = P;
    type Access = ReadWrite;

    fn pfn(&self) -> Pfn<P> {
        self.0.pfn()
    }
}

impl<P: Paging> Drop for Watched<'_, P> {
    fn drop(&mut self) {
        assert_eq!(self.1.translation(user0::<P>(0).0), None, "the page is freed, and it is still mapped");
    }
}

highmem::km_types! {
    mod lazy_km {
        atomic { kept: Kept lazy }
    }
}

/// In all orders of so few pages, read and written, with pages that are freed, and become others.
fn a_lazy_slot_shows_each_page_its_own_bytes<P: Paging>() {
    let machine = Machine::<P, lazy_km::Set>::with(config());
    machine.cpu(0).task(|task| {
        let mut pages: Vec<_> = (0..3).map(|_| (machine.alloc(Zone::High), 0)).collect();
        for (page, _) in &mut pages {
            kmap_atomic(task.atomic().slots().kept, page).fill(0);
        }
        let mut order = 7_u32;
        for round in 1..500_u32 {
            order = order.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let (page, byte) = &mut pages[(order >> 16) as usize % 3];
            match (order >> 8) % 4 {
                0 => {
                    *byte = round as u8;
                    kmap_atomic(task.atomic().slots().kept, page).fill(*byte);
                }
                1 => {
                    // The slot still maps the frame, perhaps, and it is another page's now.
                    *page = machine.alloc(Zone::High);
                    *byte = 0xaa;
                    kmap_atomic(task.atomic().slots().kept, page).fill(0xaa);
                }
                2 => flush_lazy(task),
                _ => assert!(kmap_atomic(task.atomic().slots().kept, &*page).iter().all(|b| b == byte)),
            }
        }
        for (page, byte) in &pages {
            assert!(kmap_atomic(task.atomic().slots().kept, page).iter().all(|b| b == byte));
        }
        flush_lazy(task);
    });
    assert!(machine.reports().is_empty(), "{:?}", machine.reports());
}

fn a_lazy_slot_costs_nothing_for_the_same_page<P: Paging>() {
    if DEBUG {
        return;
    }
    let machine = Machine::<P, lazy_km::Set>::with(config());
    let frame = machine.alloc(Zone::High);
    machine.cpu(0).task(|task| {
        drop(kmap_atomic(task.atomic().slots().kept, &frame));
        let ((), again) = machine.cpu(0).count(|| drop(kmap_atomic(task.atomic().slots().kept, &frame)));
        // Its note is no business of the processor's. With these assertions, the entry is looked at, too: with PAE, its low half twice.
        let looked = if cfg!(debug_assertions) { 2 * words_per_entry::<P>() - 1 } else { 0 };
        assert_eq!(again, Counts { loads: looked, stores: 0, invlpg: 0, flush_all: 0, barriers: 2 });
        flush_lazy(task);
    });
}

highmem::km_types! {
    mod batch_km {
        atomic { many: Many[64] }
    }
}

/// Batches of all sizes of pages in any order, beside a plain account of their bytes.
fn a_batch_shows_each_page_its_own_bytes_in_its_place<P: Paging>() {
    let machine = Machine::<P, batch_km::Set>::with(config());
    machine.cpu(0).task(|task| {
        let mut pages: Vec<_> = (0..64).map(|_| (machine.alloc(Zone::High), FRESH)).collect();
        let mut seed = 7_u32;
        let mut below = |limit: usize| {
            seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            (seed >> 12) as usize % limit
        };
        for round in 0..150 {
            (0..8).for_each(|_| pages.swap(below(64), below(64)));
            let count = if round % 3 == 0 { 31 + below(6) } else { below(65) };
            let mut atomic = task.atomic();
            let (batch, stamps): (Vec<_>, Vec<_>) =
                pages[..count].iter_mut().map(|(page, stamp)| (page, stamp)).unzip();
            let mut bytes = kmap_batch(atomic.slots().many, batch).expect("there is room");
            assert_eq!(bytes.len(), count * PAGE_SIZE);
            for (page, stamp) in stamps.into_iter().enumerate() {
                for place in [0, PAGE_SIZE - 1].map(|place| page * PAGE_SIZE + place) {
                    assert_eq!(bytes[place], *stamp, "byte {place:#x} of {count} pages in round {round}");
                }
                *stamp = below(256) as u8;
                [0, PAGE_SIZE - 1].into_iter().for_each(|place| bytes[page * PAGE_SIZE + place] = *stamp);
            }
        }
        for (page, stamp) in &pages {
            assert_eq!([0, PAGE_SIZE - 1].map(|place| machine.peek(page.pfn())[place]), [*stamp; 2]);
        }
    });
    assert!(machine.reports().is_empty(), "{:?}", machine.reports());
}

fn a_batch_is_emptied_and_then_flushed_page_by_page_or_at_once<P: Paging>() {
    let machine = Machine::<P, batch_km::Set>::with(config());
    let pages: Vec<_> = (0..64).map(|_| machine.alloc(Zone::High)).collect();
    machine.cpu(0).task(|task| {
        for count in [0, 1, 2, 32, 33, 34, 64] {
            let mut atomic = task.atomic();
            let many = atomic.slots().many;
            let (bytes, begin) = machine.cpu(0).count(|| kmap_batch(many, &pages[..count]).expect("there is room"));
            assert_eq!((begin.stores, begin.invlpg, begin.flush_all), (count * words_per_entry::<P>(), 0, 0));
            let first = bytes.address();
            // So that the processor knows them all.
            assert!(bytes.iter().step_by(PAGE_SIZE).all(|&byte| byte == FRESH));
            let ((), end) = machine.cpu(0).count(|| drop(bytes));
            let flushes = if count > 33 { (0, 1) } else { (count, 0) };
            assert_eq!((end.invlpg, end.flush_all), flushes, "{count} pages");
            assert_eq!(end.stores, count * words_per_entry::<P>());
            assert!((0..64).all(|page| machine.translation(first + page * PAGE_SIZE).is_none()));
        }
    });
    assert!(machine.reports().is_empty(), "{:?}", machine.reports());
}

fn a_forgotten_batch_is_emptied_by_the_next_and_a_panic_leaves_nothing<P: Paging>() {
    let machine = Machine::<P, batch_km::Set>::with(config());
    let pages: Vec<_> = (0..64).map(|_| machine.alloc(Zone::High)).collect();
    machine.cpu(0).task(|task| {
        let mut atomic = task.atomic();
        let mut many = atomic.slots().many;
        if !DEBUG {
            let forgotten = kmap_batch(many.reborrow(), &pages[..40]).expect("there is room");
            let first = forgotten.address();
            assert!(forgotten.iter().step_by(PAGE_SIZE).all(|&byte| byte == FRESH));
            mem::forget(forgotten);
            drop(kmap_batch(many.reborrow(), &pages[63..]).expect("there is room"));
            assert!((0..64).all(|page| machine.translation(first + page * PAGE_SIZE).is_none()));
        }
        let broken =
            pages.iter().enumerate().inspect(|(number, _)| assert!(*number < 35, "on purpose")).map(|(_, page)| page);
        let text = panic_of(|| drop(kmap_batch(many.reborrow(), broken)));
        assert!(text.contains("on purpose"), "{text}");
        let bytes = kmap_batch(many, &pages[..1]).expect("there is room");
        assert!((1..64).all(|page| machine.translation(bytes.address() + page * PAGE_SIZE).is_none()));
    });
    assert!(machine.reports().is_empty(), "{:?}", machine.reports());
}

fn the_page_is_freed_after_it_is_unmapped<P: Paging>() {
    let machine = Machine::<P>::with(config());
    let page = Watched(machine.alloc(Zone::High), &machine);
    with_user0(&machine, |slot| kmap_atomic(slot, page).fill(1));
    assert_eq!(machine.allocated(), 0);
}

/// The model's kernel, but for what translations are bound to.
struct Bound<P, const GLOBAL: bool>(PhantomData<P>);

thread_local! {
    /// The addresses that the kernel was to forget in other address spaces.
    static TO_FORGET: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

// SAFETY: all is the model's kernel's. What is to be forgotten in the other address space is noted, until that is used.
unsafe impl<P: Paging, const GLOBAL: bool> Kernel for Bound<P, GLOBAL> {
    type Paging = P;
    type KmTypes = Set;
    type Cpus = <K<P> as Kernel>::Cpus;
    type Machine = Hardware<P>;
    type Fixmap = <K<P> as Kernel>::Fixmap;

    const FIXMAP_BASE: usize = K::<P>::FIXMAP_BASE;
    const TRANSLATIONS: Translations = if GLOBAL { Translations::Global } else { Translations::Tagged };

    fn fixmap() -> &'static Self::Fixmap {
        K::<P>::fixmap()
    }

    fn cpu() -> usize {
        K::<P>::cpu()
    }

    fn preempt_disable() {
        K::<P>::preempt_disable();
    }

    unsafe fn preempt_enable() {
        // SAFETY: the caller's promise.
        unsafe { K::<P>::preempt_enable() }
    }

    fn irq_save() -> bool {
        K::<P>::irq_save()
    }

    unsafe fn irq_restore(were_on: bool) {
        // SAFETY: the caller's promise.
        unsafe { K::<P>::irq_restore(were_on) }
    }

    fn no_execute() -> bool {
        K::<P>::no_execute()
    }

    fn direct_map(_: Pfn<P>) -> Option<NonNull<PageBytes>> {
        None
    }

    fn forget_in_other_spaces(address: usize) {
        TO_FORGET.with_borrow_mut(|addresses| addresses.push(address));
    }
}

/// Maps in one address space, and unmaps in another. Says what is stale then.
fn unmapped_in_another_space<P: Paging, const GLOBAL: bool>(machine: &Machine<P>) -> usize {
    const OTHER: u16 = 5;
    let frame = machine.alloc(Zone::High);
    let cpu = machine.cpu(0);
    TO_FORGET.take();
    cpu.task(|_| {
        // SAFETY: I1: the thread is the CPU, and this is its only task that has slots.
        unsafe {
            Task::<Bound<P, GLOBAL>>::enter(|task| {
                let mut atomic = task.atomic();
                let guard = kmap_atomic(atomic.slots().user0, &frame);
                assert_eq!(machine.translation(guard.address()).unwrap().global, GLOBAL);
                cpu.load_cr3(OTHER, true);
                // The page is used here, too: there are two translations, unless one is global.
                assert_eq!(guard[0], FRESH);
            });
        }
        let stale = machine.stale().len();
        TO_FORGET.take().into_iter().for_each(|address| cpu.invpcid(address, 0));
        assert_eq!(machine.stale(), [], "after what the kernel did");
        cpu.load_cr3(0, false);
        stale
    })
}

fn a_kernel_with_pcids_forgets_in_all_address_spaces<P: Paging>() {
    let machine = Machine::<P>::with(config());
    assert_eq!(unmapped_in_another_space::<P, false>(&machine), 1, "until the kernel does its part");
}

fn a_global_translation_of_a_slot_is_forgotten_in_all_address_spaces<P: Paging>() {
    let machine = Machine::<P>::with(config());
    assert_eq!(unmapped_in_another_space::<P, true>(&machine), 0);
}

#[test]
fn frames_are_fresh_at_first_and_freed_at_last() {
    let machine = Machine::new();
    let frame = machine.alloc(Zone::High);
    let pfn = frame.pfn();
    assert_eq!((machine.peek(pfn), machine.allocated()), ([FRESH; PAGE_SIZE], 1));
    drop(frame);
    assert_eq!((machine.peek(pfn), machine.allocated()), ([FREED; PAGE_SIZE], 0));
    assert_eq!(machine.alloc(Zone::High).pfn(), pfn, "the first to be handed out again");
    let chosen = machine.alloc_at(pfn);
    assert_ne!(machine.alloc(Zone::High).pfn(), pfn);
    assert!(panic_of(|| machine.alloc_at(pfn)).contains("in use"));
    drop(chosen);
}

#[test]
fn a_device_writes_to_shared_memory_only() {
    let machine = Machine::new();
    let mut shared = machine.alloc(Zone::High).share();
    machine.poke(shared.pfn(), 4090, b"device");
    machine.cpu(0).task(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &mut shared);
        let mut bytes = [0; 6];
        mapped.read_at(4090, &mut bytes).unwrap();
        assert_eq!(&bytes, b"device");
        // One byte more is one of the next page: nothing is mapped there.
        assert_eq!(mapped.read_at(4091, &mut bytes), Err(ViewError::OutOfBounds { offset: 4091 }));
    });
    let owned = machine.alloc(Zone::High);
    assert!(panic_of(|| machine.poke(owned.pfn(), 0, b"no")).contains("is not shared memory"));
    assert!(panic_of(|| machine.poke(shared.pfn(), 4091, b"device")).contains("over the end"));
}

#[test]
fn there_is_one_machine_at_a_time() {
    let first = Machine::new();
    assert!(panic_of(Machine::new).contains("this thread has a machine already"));
    let turned_off = Arc::new(AtomicUsize::new(0));
    let waiting = thread::spawn({
        let turned_off = turned_off.clone();
        move || {
            let machine = Machine::new();
            (turned_off.load(Relaxed), machine.cpus())
        }
    });
    // However long the other waits, it must not be turned on before this.
    thread::yield_now();
    turned_off.store(1, Relaxed);
    drop(first);
    assert_eq!(waiting.join().unwrap(), (1, 2));
}

#[test]
fn a_thread_is_one_cpu_and_a_cpu_is_one_thread() {
    let machine = Machine::new();
    machine.cpu(0).task(|_| {
        assert!(panic_of(|| machine.cpu(1).task(|_| ())).contains("this thread is CPU 0"));
        assert!(panic_of(|| machine.cpu(0).task(|_| ())).contains("this thread is CPU 0"));
        thread::scope(|scope| {
            let other = scope.spawn(|| panic_of(|| machine.cpu(0).task(|_| ())));
            assert!(other.join().unwrap().contains("CPU 0 is another thread"));
        });
    });
    assert!(panic_of(|| machine.cpu(2)).contains("the machine has 2"));
    assert!(panic_of(ModelKernel::<Pae>::cpu).contains("this thread is no CPU"));
}

#[test]
fn cpus_have_slots_of_their_own() {
    let machine = Machine::new();
    let frames = two_frames(&machine);
    let both_have_mapped = Barrier::new(2);
    thread::scope(|scope| {
        for (cpu, frame) in frames.iter().enumerate() {
            let (machine, both_have_mapped) = (&machine, &both_have_mapped);
            scope.spawn(move || {
                machine.cpu(cpu).task(|task| {
                    let mut atomic = task.atomic();
                    let mapped = kmap_atomic(atomic.slots().user0, frame);
                    both_have_mapped.wait();
                    assert_eq!(mapped[..], [1 + cpu as u8; PAGE_SIZE]);
                });
            });
        }
    });
}

#[test]
fn a_forgotten_context_is_reported_at_the_end_of_the_task() {
    let machine = Machine::new();
    let message = panic_of(|| machine.cpu(0).task(|task| mem::forget(task.atomic())));
    assert_eq!(message, "CPU 0 is done with preemption off: a context was forgotten");
    machine.cpu(0).task(|task| drop(task.atomic()));
}

#[test]
fn a_fault_that_nobody_looked_at_is_a_panic_when_the_machine_is_turned_off() {
    let machine = Machine::<Pae>::with(config());
    let (address, _) = user0::<Pae>(0);
    read(address);
    assert!(panic_of(|| drop(machine)).contains("slot User0 of CPU 0"));
}

#[test]
fn interrupts_come_as_soon_as_they_are_on() {
    let machine = Machine::new();
    let (count, served) = (Arc::new(AtomicUsize::new(0)), |count: &Arc<AtomicUsize>| count.load(Relaxed));
    let raise = |count: &Arc<AtomicUsize>| {
        let count = count.clone();
        machine.cpu(0).interrupt(move |irq| {
            let _ = irq.slots().irq0;
            count.fetch_add(1, Relaxed);
        });
    };
    raise(&count);
    assert_eq!(served(&count), 1, "this thread is the CPU for the time");
    machine.cpu(0).task(|task| {
        raise(&count);
        assert_eq!(served(&count), 2);
        let mut atomic = task.atomic();
        raise(&count);
        assert_eq!(served(&count), 3);
        let irqs_off = atomic.irqs_off();
        raise(&count);
        assert!(panic_of(|| machine.cpu(0).interrupt_now(|_| ())).contains("interrupts off"));
        assert_eq!(served(&count), 3);
        drop(irqs_off);
        assert_eq!(served(&count), 4);
        assert_eq!(machine.cpu(0).interrupt_now(|_| 5), 5);
    });
}

#[test]
fn an_interrupt_of_a_cpu_that_is_another_thread_comes_at_its_next_step() {
    let machine = Machine::new();
    let served_by = Arc::new(AtomicUsize::new(usize::MAX));
    machine.cpu(1).task(|task| {
        thread::scope(|scope| {
            scope.spawn(|| {
                let served_by = served_by.clone();
                machine.cpu(1).interrupt(move |_| served_by.store(ModelKernel::<Pae>::cpu(), Relaxed));
            });
        });
        assert_eq!(served_by.load(Relaxed), usize::MAX);
        drop(task.atomic());
        assert_eq!(served_by.load(Relaxed), 1);
    });
}

#[test]
fn softirqs_come_after_handlers_and_not_where_they_are_off() {
    let machine = Machine::new();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let order = order.clone();
        move || order.lock().unwrap().push((what, ModelKernel::<Pae>::state().unwrap()))
    };
    let raise = |what| {
        let note = note(what);
        machine.cpu(0).softirq(move |softirq| {
            let _ = softirq.slots().softirq0;
            note();
        });
    };
    machine.cpu(0).task(|task| {
        machine.cpu(0).interrupt_now(|_| {
            raise("first");
            note("handler")();
        });
        let mut atomic = task.atomic();
        let bh_off = atomic.bh_off();
        raise("second");
        assert!(panic_of(|| machine.cpu(0).softirq_now(|_| ())).contains("softirqs off"));
        note("task")();
        drop(bh_off);
        machine.cpu(0).softirq_now(|_| note("third")());
        machine.cpu(0).nmi_now(|_| note("nmi")());
    });
    let state = |serving, [preemption_off, softirqs_off, interrupts_off]: [bool; 3]| State {
        serving,
        preemption_off,
        softirqs_off,
        interrupts_off,
    };
    let expected = [
        ("handler", state(Serving::InterruptHandler, [true, true, true])),
        ("first", state(Serving::SoftirqHandler, [true, true, false])),
        ("task", state(Serving::Thread, [true, true, false])),
        ("second", state(Serving::SoftirqHandler, [true, true, false])),
        ("third", state(Serving::SoftirqHandler, [true, true, false])),
        ("nmi", state(Serving::NmiHandler, [true, true, true])),
    ];
    assert_eq!(order.lock().unwrap()[..], expected);
}

#[cfg(feature = "debug")]
#[test]
fn what_the_feature_debug_reports_is_a_panic() {
    let machine = Machine::new();
    let frame = machine.alloc(Zone::High);
    let message =
        panic_of(|| machine.cpu(0).task(|task| mem::forget(kmap_atomic(task.atomic().slots().user0, &frame))));
    assert!(message.contains("its guard was forgotten"), "{message}");
    assert_eq!(machine.reports().len(), 1);
}

#[cfg(feature = "debug")]
#[test]
fn a_context_that_is_a_lie_is_reported() {
    let machine = Machine::new();
    let frame = machine.alloc(Zone::High);
    let message = panic_of(|| {
        // SAFETY: I1: a lie, which is what this test is about. Nothing is interrupted.
        machine
            .cpu(0)
            .task(|_| unsafe { highmem::HardIrq::<K<Pae>>::enter(|irq| drop(kmap_atomic(irq.slots().irq0, &frame))) })
    });
    assert!(
        message.contains("slot Irq0 on CPU 0") && message.contains("needs interrupts off, but this is a thread"),
        "{message}"
    );
}

#[cfg(feature = "debug")]
#[test]
fn a_run_over_the_end_of_a_page_is_a_fault() {
    let machine = Machine::new();
    let mut frame = machine.alloc(Zone::High);
    machine.cpu(0).task(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user1, &mut frame);
        write(mapped.address() + PAGE_SIZE, 1);
        write(mapped.address() - 1, 1);
        let faults: Vec<_> = machine.faults().iter().map(|fault| (fault.what, fault.slot)).collect();
        assert_eq!(faults, [(What::Write, None); 2], "neither page is that of another slot");
    });
}
