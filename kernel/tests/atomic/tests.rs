//! Does `kmap_atomic` do to the machine what it promises? Needs memory above 4 GiB (6 GiB will do), or without PAE, above lowmem.

use alloc::vec::Vec;
use core::mem;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};

use highmem::linux::{Set, User0};
use highmem::tlb::Translations;
use highmem::{DeviceFrame, Kernel, KmTypes, KmapAtomic, Page, kmap_atomic, kunmap_atomic};
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{self, ExampleKernel, HardIrq, Softirq, Task};
use kernel::{cpu, harness, irq, memory, paging, probe, smp, softirq, timer};

kernel::main!(atomic_tests);

fn atomic_tests(task: &mut Task<'_>) {
    let mut left_out = Vec::new();
    if !Zone::Above4G.is_reachable() {
        left_out.push(("frames_above_4_gib_land_above_4_gib", "this paging mode reaches no frame above 4 GiB"));
        left_out.push(("frames_above_64_gib_land_above_64_gib", "this paging mode reaches no frame above 4 GiB"));
    } else if memory::map().ram().all(|region| region.end() <= 64 << 30) {
        left_out.push(("frames_above_64_gib_land_above_64_gib", "this machine has no memory above 64 GiB"));
    }
    if ExampleKernel::FORCE_MAP {
        left_out.push(("lowmem_uses_the_direct_map", "lowmem is mapped, too"));
    }
    harness::run_tests_except(
        task,
        &left_out,
        &[
            ("slots_are_empty_at_boot", slots_are_empty_at_boot),
            ("frames_above_4_gib_land_above_4_gib", frames_above_4_gib_land_above_4_gib),
            ("frames_above_64_gib_land_above_64_gib", frames_above_64_gib_land_above_64_gib),
            ("a_slot_mapped_again_shows_the_new_frame", a_slot_mapped_again_shows_the_new_frame),
            ("a_frame_mapped_elsewhere_keeps_its_bytes", a_frame_mapped_elsewhere_keeps_its_bytes),
            ("all_slots_at_once_are_all_different", all_slots_at_once_are_all_different),
            ("a_slot_is_empty_after_its_guard", a_slot_is_empty_after_its_guard),
            ("a_pointer_kept_past_the_guard_faults", a_pointer_kept_past_the_guard_faults),
            ("a_read_only_mapping_cannot_be_written", a_read_only_mapping_cannot_be_written),
            ("a_mapping_cannot_be_executed", a_mapping_cannot_be_executed),
            ("a_forgotten_guard_does_not_poison_the_slot", a_forgotten_guard_does_not_poison_the_slot),
            ("lowmem_uses_the_direct_map", lowmem_uses_the_direct_map),
            ("memory_of_others_is_copied", memory_of_others_is_copied),
            ("a_device_is_mapped_uncached_and_answers", a_device_is_mapped_uncached_and_answers),
            ("the_page_is_freed_after_it_is_unmapped", the_page_is_freed_after_it_is_unmapped),
            ("contexts_turn_off_what_they_say", contexts_turn_off_what_they_say),
            ("an_interrupt_maps_beside_the_task", an_interrupt_maps_beside_the_task),
            ("an_interrupt_between_any_two_instructions", an_interrupt_between_any_two_instructions),
            ("a_softirq_maps_beside_the_task", a_softirq_maps_beside_the_task),
            ("each_cpu_has_slots_of_its_own", each_cpu_has_slots_of_its_own),
            ("an_entry_names_the_frame_and_what_is_allowed", an_entry_names_the_frame_and_what_is_allowed),
        ],
    )
}

const PAGE: usize = highmem::PAGE_SIZE;

fn high() -> Frame {
    let zone = if Zone::Above4G.is_reachable() { Zone::Above4G } else { Zone::High };
    frames::alloc(zone).unwrap_or_else(|| panic!("no frame free in zone {zone}: start this with 6 GiB (--mem 6G)"))
}

fn filled(task: &mut Task<'_>, byte: u8) -> Frame {
    let mut frame = high();
    kmap_atomic(task.atomic().slots().user1, &mut frame).fill(byte);
    frame
}

fn is_filled(bytes: &[u8], byte: u8) -> bool {
    bytes.iter().all(|&found| found == byte)
}

fn all_slots_are_empty() -> bool {
    kmap::slots().all(|(_, address)| kmap::entry(address) == 0)
}

fn slots_are_empty_at_boot(_: &mut Task<'_>) {
    assert!(all_slots_are_empty());
    for (_, address) in kmap::slots() {
        let fault = probe::read_u8(address).expect_err("an empty slot should fault");
        assert!(fault.address == address && !fault.was_present(), "{fault}");
    }
}

fn an_entry_names_the_frame_and_what_is_allowed(task: &mut Task<'_>) {
    const PRESENT: u64 = 1 << 0;
    const WRITABLE: u64 = 1 << 1;
    const ACCESSED: u64 = 1 << 5;
    const DIRTY: u64 = 1 << 6;
    let no_execute = u64::from(paging::has_nx()) << 63;
    let global = u64::from(ExampleKernel::TRANSLATIONS == Translations::Global) << 8;

    let mut frame = high();
    let physical = frame.pfn().address();
    assert!(physical >= 1 << 32 || !Zone::Above4G.is_reachable());
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();

    let mapped = kmap_atomic(slots.user0.reborrow(), &mut frame);
    assert_eq!(kmap::entry(mapped.address()), physical | no_execute | global | PRESENT | WRITABLE | ACCESSED | DIRTY);
    drop(mapped);
    let mapped = kmap_atomic(slots.user0, &frame);
    assert_eq!(kmap::entry(mapped.address()), physical | no_execute | global | PRESENT | ACCESSED);
}

/// If the high half of an entry were lost, a frame would be the one 4 GiB below it.
fn frames_above_4_gib_land_above_4_gib(task: &mut Task<'_>) {
    frames_so_far_apart_are_not_the_same(task, 1 << 32);
}

/// If an entry kept only the 36 address bits of the first processors with PAE, a frame would be the one 64 GiB below it.
fn frames_above_64_gib_land_above_64_gib(task: &mut Task<'_>) {
    frames_so_far_apart_are_not_the_same(task, 1 << 36);
}

fn frames_so_far_apart_are_not_the_same(task: &mut Task<'_>, distance: u64) {
    const PAIRS: usize = 64;

    let frames_apart = (distance / PAGE as u64) as usize;
    let below = core::iter::from_fn(|| frames::alloc(Zone::High).or_else(|| frames::alloc(Zone::Low)));
    let pairs = below.take(PAIRS).filter_map(|low| Some((frames::alloc_at(low.pfn().number() + frames_apart)?, low)));
    let pairs: Vec<(Frame, Frame)> = pairs.collect();
    assert_eq!(pairs.len(), PAIRS);
    for (mut above, mut below) in pairs {
        assert_eq!(above.pfn().address() - below.pfn().address(), distance);
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        kmap_atomic(slots.user0.reborrow(), &mut above).fill(0xaa);
        kmap_atomic(slots.user1.reborrow(), &mut below).fill(0xbb);
        assert!(
            is_filled(&*kmap_atomic(slots.user0.reborrow(), &above), 0xaa),
            "{:?} is {:?}",
            above.pfn(),
            below.pfn()
        );
        kmap_atomic(slots.user0, &mut above).fill(0xcc);
        assert!(is_filled(&*kmap_atomic(slots.user1, &below), 0xbb), "{:?} is {:?}", below.pfn(), above.pfn());
    }
}

/// Sees a translation that was not flushed.
fn a_slot_mapped_again_shows_the_new_frame(task: &mut Task<'_>) {
    let (one, two) = (filled(task, 1), filled(task, 2));
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    for _ in 0..100 {
        assert!(is_filled(&*kmap_atomic(slots.user0.reborrow(), &one), 1), "the slot still shows the second frame");
        assert!(is_filled(&*kmap_atomic(slots.user0.reborrow(), &two), 2), "the slot still shows the first frame");
    }
}

fn a_frame_mapped_elsewhere_keeps_its_bytes(task: &mut Task<'_>) {
    let mut frame = high();
    let mut atomic = task.atomic();
    let slots = atomic.slots();
    let mut written = kmap_atomic(slots.user0, &mut frame);
    let first = written.address();
    written.fill(0x77);
    let (_, frame) = kunmap_atomic(written);
    let read = kmap_atomic(slots.pte1, &*frame);
    assert_ne!(read.address(), first);
    assert!(is_filled(&*read, 0x77));
}

/// Maps a frame in each of the thirteen slots at the same time, and finds each where it belongs.
fn all_slots_at_once_are_all_different(task: &mut Task<'_>) {
    let mut atomic = task.atomic();
    let mut outer = atomic.slots();
    let mut bh_off = outer.deeper.bh_off();
    let mut middle = bh_off.slots();
    let mut irqs_off = middle.deeper.irqs_off();
    let inner = irqs_off.slots();

    let mut seen = Vec::new();
    macro_rules! map_all {
        ($($slot:expr, $name:ident;)*) => {
            $(let mut $name = kmap_atomic($slot, high());)*
            $($name.fill(seen.len() as u8); seen.push(($name.address(), $name.pfn()));)*
            let mut number = 0;
            $(assert!(is_filled(&*$name, number), "slot {}", stringify!($name)); number += 1;)*
            assert_eq!(usize::from(number), Set::NAMES.len());
        };
    }
    map_all! {
        outer.user0, user0;
        outer.user1, user1;
        outer.pte0, pte0;
        outer.pte1, pte1;
        outer.skb_sunrpc_data, skb_sunrpc_data;
        middle.skb_data_softirq, skb_data_softirq;
        middle.softirq0, softirq0;
        middle.softirq1, softirq1;
        inner.bounce_read, bounce_read;
        inner.bio_src_irq, bio_src_irq;
        inner.bio_dst_irq, bio_dst_irq;
        inner.irq0, irq0;
        inner.irq1, irq1;
    }

    for ((address, pfn), (name, expected)) in seen.into_iter().zip(kmap::slots()) {
        assert_eq!(address, expected, "slot {name}");
        assert_eq!(paging::address(kmap::entry(address)), pfn.address(), "slot {name}");
    }
}

fn a_slot_is_empty_after_its_guard(task: &mut Task<'_>) {
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();

    drop(kmap_atomic(slots.user0.reborrow(), high()));
    assert!(all_slots_are_empty(), "after drop");
    let mapped = kmap_atomic(slots.user0, high());
    assert_eq!(kmap::slots().filter(|&(_, address)| kmap::entry(address) != 0).count(), 1);
    let (slot, page) = kunmap_atomic(mapped);
    assert!(all_slots_are_empty(), "after kunmap_atomic");
    drop(kmap_atomic(slot, page));
    assert!(all_slots_are_empty(), "after a mapping with the token that came back");
}

fn a_pointer_kept_past_the_guard_faults(task: &mut Task<'_>) {
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    for offset in [0, 1234, PAGE - 1] {
        let mapped = kmap_atomic(slots.user0.reborrow(), high());
        let kept = mapped.address() + offset;
        assert!(probe::read_u8(kept).is_ok(), "not mapped while the guard lives");
        drop(mapped);

        let read = probe::read_u8(kept).expect_err("read through a pointer kept past the guard");
        // SAFETY: it faults, or else writes to a frame that is free.
        let write = unsafe { probe::write_u8(kept, 1) }.expect_err("written through a pointer kept past the guard");
        for fault in [read, write] {
            assert!(fault.address == kept && !fault.was_present(), "{fault}");
        }
    }
}

fn a_read_only_mapping_cannot_be_written(task: &mut Task<'_>) {
    let frame = filled(task, 0x33);
    let mut atomic = task.atomic();
    let mapped = kmap_atomic(atomic.slots().user0, &frame);
    let address = mapped.address() + 77;
    // SAFETY: it faults; and if it does not, it writes what is there.
    let fault = unsafe { probe::write_u8(address, 0x33) }.expect_err("written through a read-only mapping");
    assert!(fault.address == address && fault.was_present() && fault.was_write(), "{fault}");
    assert_eq!(mapped[77], 0x33);
}

fn a_mapping_cannot_be_executed(task: &mut Task<'_>) {
    const RET: u8 = 0xc3;
    let frame = filled(task, RET);
    let mut atomic = task.atomic();
    let mapped = kmap_atomic(atomic.slots().user0, &frame);
    let address = mapped.address() + 10;
    // SAFETY: it faults, or else runs a `ret`.
    match unsafe { probe::execute(address) } {
        Err(fault) => {
            assert!(paging::has_nx() && fault.address == address, "{fault}");
            assert!(fault.was_present() && fault.was_instruction_fetch(), "{fault}");
        }
        Ok(()) => assert!(!paging::has_nx(), "code ran in a data mapping"),
    }
}

fn a_forgotten_guard_does_not_poison_the_slot(task: &mut Task<'_>) {
    let (one, two) = (filled(task, 1), filled(task, 2));
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    for _ in 0..100 {
        let forgotten = kmap_atomic(slots.user0.reborrow(), &one);
        assert!(is_filled(&*forgotten, 1));
        mem::forget(forgotten);
        let mapped = kmap_atomic(slots.user0.reborrow(), &two);
        assert!(is_filled(&*mapped, 2), "the slot still shows the forgotten mapping");
    }
    assert!(all_slots_are_empty());
    assert_eq!(kmap::take_reports().len(), if cfg!(feature = "debug") { 100 } else { 0 });
}

fn lowmem_uses_the_direct_map(task: &mut Task<'_>) {
    let mut frame = frames::alloc(Zone::Low).expect("a frame of lowmem");
    let direct = paging::phys_to_virt(frame.pfn().address()).expect("lowmem has an address");
    let mut atomic = task.atomic();
    let mut mapped = kmap_atomic(atomic.slots().user0, &mut frame);
    assert_eq!(mapped.address(), direct);
    assert!(all_slots_are_empty());
    mapped[9] = 0x99;
    drop(mapped);
    assert_eq!(probe::read_u8(direct + 9), Ok(0x99), "the direct map stays");
}

fn memory_of_others_is_copied(task: &mut Task<'_>) {
    let mut page = high().share();
    let data: [u8; 256] = core::array::from_fn(|index| index as u8);
    let mut atomic = task.atomic();
    let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
    for offset in [0, 1, 5, 2047, PAGE - data.len()] {
        let mut copy = [0; 256];
        mapped.write_at(offset, &data).expect("within the page");
        mapped.read_at(offset, &mut copy).expect("within the page");
        assert_eq!(copy, data, "at {offset}");
    }
    assert!(mapped.write_at(PAGE - data.len() + 1, &data).is_err());
}

/// The event timer of the PC: a device at a fixed address, which the direct map does not have.
fn a_device_is_mapped_uncached_and_answers(task: &mut Task<'_>) {
    const HPET: u64 = 0xfed0_0000;
    const CAPABILITIES: usize = 0x00;
    const CONFIGURATION: usize = 0x10;
    const COUNTER: usize = 0xf0;
    const INTEL: u32 = 0x8086;
    const UNCACHED: u64 = 0x18;

    let pfn = highmem::Pfn::containing(HPET).expect("within reach");
    // SAFETY: nobody else uses the timer, and it writes to no memory.
    let mut hpet = unsafe { DeviceFrame::<kmap::Paging>::from_pfn(pfn) };
    let mut atomic = task.atomic();
    let mut registers = kmap_atomic(atomic.slots().user0, &mut hpet);
    assert_eq!(kmap::entry(registers.address()) & 0xffff_f0ff & !0x60, HPET | UNCACHED | 0x03);
    assert_eq!(registers.load::<u32>(CAPABILITIES).expect("aligned") >> 16, INTEL);

    let counter = || registers.load::<u32>(COUNTER).expect("aligned");
    let before = counter();
    assert_eq!(counter(), before, "the counter stands still until it is turned on");
    registers.store(CONFIGURATION, 1_u32).expect("aligned");
    let on = registers.load::<u32>(COUNTER).expect("aligned");
    let later = (0..1_000_000).any(|_| registers.load::<u32>(COUNTER).expect("aligned") > on);
    assert!(later, "the counter does not count");
    registers.store(CONFIGURATION, 0_u32).expect("aligned");
}

/// A page that looks, when it is freed, whether its mapping is gone.
struct Watched(Frame);

static ENTRY_AT_DROP: AtomicUsize = AtomicUsize::new(usize::MAX);

// SAFETY: it is the frame that it holds.
unsafe impl Page for Watched {
    type Paging = kmap::Paging;
    type Access = highmem::page::ReadWrite;

    fn pfn(&self) -> highmem::Pfn<Self::Paging> {
        self.0.pfn()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let entries: u64 = kmap::slots().map(|(_, address)| kmap::entry(address)).sum();
        ENTRY_AT_DROP.store(entries as usize, Relaxed);
    }
}

fn the_page_is_freed_after_it_is_unmapped(task: &mut Task<'_>) {
    let mut atomic = task.atomic();
    drop(kmap_atomic(atomic.slots().user0, Watched(high())));
    assert_eq!(ENTRY_AT_DROP.load(Relaxed), 0);
}

fn contexts_turn_off_what_they_say(task: &mut Task<'_>) {
    assert!(kmap::preempt_count() == 0 && irq::enabled());
    let mut atomic = task.atomic();
    assert!(kmap::preempt_count() == 1 && irq::enabled());
    let mut irqs_off = atomic.irqs_off();
    assert!(!irq::enabled());
    let _ = irqs_off.slots();
    drop(irqs_off);
    assert!(irq::enabled());

    // Ends that are not in reverse order, which safe code can bring about.
    let mut late = None;
    irq::with_disabled(|| late = Some(atomic.irqs_off()));
    assert!(!irq::enabled(), "interrupts came on while a context with interrupts off lives");
    drop(late);
    assert!(irq::enabled());

    drop(atomic);
    assert_eq!(kmap::preempt_count(), 0);
}

static INTERRUPTS: AtomicU32 = AtomicU32::new(0);
static HANDLER_BYTE: u8 = 0x66;

/// Maps in both of its slots, as an interrupt handler does.
fn mapping_tick(irq: &mut HardIrq<'_>) {
    let slots = irq.slots();
    let mut one = kmap_atomic(slots.irq0, high());
    let mut two = kmap_atomic(slots.irq1, high());
    one[..64].fill(HANDLER_BYTE);
    two[..64].copy_from_slice(&one[..64]);
    assert!(is_filled(&two[..64], HANDLER_BYTE));
    INTERRUPTS.fetch_add(1, Relaxed);
}

/// Calls `f` again and again, until so many interrupts have come.
fn under_interrupts(count: u32, handler: fn(&mut HardIrq<'_>), mut f: impl FnMut()) {
    const PATIENCE: u32 = 200_000_000;
    INTERRUPTS.store(0, Relaxed);
    timer::set_handler(handler);
    timer::set_rate(10_000);
    let come = |_: &u32| INTERRUPTS.load(Relaxed) >= count;
    let came = (0..PATIENCE).inspect(|_| f()).any(|round| come(&round));
    timer::set_rate(timer::DEFAULT_RATE);
    timer::clear_handler();
    assert!(came, "only {} interrupts", INTERRUPTS.load(Relaxed));
}

fn an_interrupt_maps_beside_the_task(task: &mut Task<'_>) {
    let (mut one, mut two) = (high(), high());
    let mut atomic = task.atomic();
    let slots = atomic.slots();
    let mut first = kmap_atomic(slots.user0, &mut one);
    let mut second = kmap_atomic(slots.user1, &mut two);
    first.fill(0x11);
    second.fill(0x22);
    under_interrupts(200, mapping_tick, || {
        assert!(is_filled(&*first, 0x11) && is_filled(&*second, 0x22), "the task sees the interrupt's bytes");
    });
}

/// The tick looks at what it interrupted: whatever the task's slot is in the middle of, the entry is either empty, or whole.
fn an_interrupt_between_any_two_instructions(task: &mut Task<'_>) {
    static SEEN: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

    fn tick(irq: &mut HardIrq<'_>) {
        mapping_tick(irq);
        let (_, user0) = kmap::slots().next().expect("User0 is the first slot");
        let entry = kmap::entry(user0);
        let present = entry & 1 != 0;
        let lost = Zone::Above4G.is_reachable() && paging::address(entry) < 1 << 32;
        assert!(!(present && lost), "a present entry without its high half: {entry:#x}");
        SEEN[usize::from(present)].fetch_add(1, Relaxed);
    }

    let frame = filled(task, 0x44);
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    under_interrupts(500, tick, || {
        for _ in 0..100 {
            let mapped: KmapAtomic<'_, ExampleKernel, User0, &Frame> = kmap_atomic(slots.user0.reborrow(), &frame);
            assert!(mapped[0] == 0x44 && mapped[PAGE - 1] == 0x44);
        }
    });
    assert!(SEEN.iter().all(|count| count.load(Relaxed) > 0), "no interrupt hit a mapping, or all did: {SEEN:?}");
    assert!(all_slots_are_empty());
}

static SOFTIRQS: AtomicU32 = AtomicU32::new(0);

fn a_softirq_maps_beside_the_task(task: &mut Task<'_>) {
    fn tick(_: &mut HardIrq<'_>) {
        INTERRUPTS.fetch_add(1, Relaxed);
        softirq::raise();
    }

    fn bottom_half(softirq: &mut Softirq<'_>) {
        assert!(irq::enabled() && !irq::in_interrupt());
        let mut slots = softirq.slots();
        let mut mapped = kmap_atomic(slots.softirq0, high());
        mapped[..64].fill(HANDLER_BYTE);
        let mut irqs_off = slots.deeper.irqs_off();
        let inner = kmap_atomic(irqs_off.slots().irq0, high());
        assert_ne!(inner.address(), mapped.address());
        SOFTIRQS.fetch_add(1, Relaxed);
    }

    softirq::set_handler(bottom_half);
    let frame = filled(task, 0x55);
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    let mapped = kmap_atomic(slots.user0, &frame);
    under_interrupts(100, tick, || assert!(is_filled(&*mapped, 0x55), "the task sees the softirq's bytes"));
    assert!(SOFTIRQS.load(Relaxed) > 0);

    // Softirqs stay out for as long as they are off, and come afterwards.
    let mut bh_off = slots.deeper.bh_off();
    let own = kmap_atomic(bh_off.slots().softirq0, high());
    let before = SOFTIRQS.load(Relaxed);
    under_interrupts(10, tick, || ());
    assert_eq!(SOFTIRQS.load(Relaxed), before, "a softirq ran while softirqs were off");
    drop(own);
    drop(bh_off);
    assert!(SOFTIRQS.load(Relaxed) > before, "the softirq was lost");
}

/// All CPUs map at the same time, in the same slot, and compare where: at different addresses, or at one that has an entry for each CPU.
/// On a machine with one CPU, that one is alone.
fn each_cpu_has_slots_of_its_own(task: &mut Task<'_>) {
    const ROUNDS: usize = 100;
    static ADDRESSES: [AtomicUsize; cpu::MAX] = [const { AtomicUsize::new(0) }; _];
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);

    /// Waits until all CPUs have come to this place `times` times.
    fn meet(times: usize) {
        ARRIVED.fetch_add(1, SeqCst);
        let all = smp::count() * times;
        let came = (0..1 << 28).inspect(|_| core::hint::spin_loop()).any(|_: u32| ARRIVED.load(SeqCst) >= all);
        assert!(came, "a CPU did not come");
    }

    smp::run_on_all(task, |task, cpu| {
        let byte = 0xc0 | cpu as u8;
        let mut frame = high();
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        for round in 0..ROUNDS {
            let mut mapped = kmap_atomic(slots.user0.reborrow(), &mut frame);
            mapped.fill(byte);
            ADDRESSES[cpu].store(mapped.address(), Relaxed);
            meet(2 * round + 1);
            let others = (0..smp::count()).filter(|&other| other != cpu);
            for other in others {
                let same = ADDRESSES[other].load(Relaxed) == mapped.address();
                assert_eq!(same, cfg!(feature = "cpu-window"), "CPU {other} and CPU {cpu}, at {:#x}", mapped.address());
            }
            let entry = kmap::entry(mapped.address());
            assert_eq!(paging::address(entry), mapped.pfn().address(), "another CPU has replaced the mapping");
            assert!(is_filled(&*mapped, byte), "CPU {cpu} sees another's bytes");
            meet(2 * round + 2);
        }
    });
}
