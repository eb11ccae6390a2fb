//! Kernels that lie: does the self-test find them out, and the feature `debug`?
//!
//! Each lying kernel is a second implementation of the trait in this program, beside the example kernel's, with a window of its own.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use highmem::debug::Report;
use highmem::fixmap::PageTable;
use highmem::machine::{Machine as _, X86};
use highmem::paging::Pat;
use highmem::selftest::{Error, Place};
use highmem::tlb::Translations;
use highmem::{Fixmap, HardIrq, Kernel, KmTypes, Nmi, Task, kmap_atomic, selftest};
use kernel::frames::{self, Frame};
use kernel::kmap::{self, ExampleKernel, Paging};
use kernel::paging::{self, FREE_BASE, TABLE_SPAN};
use kernel::sync::IrqLock;
use kernel::{cpu, harness, irq, println, probe, smp};
use typenum::U4;

kernel::main!(lies);

fn lies(task: &mut kernel::kmap::Task<'_>) {
    #[cfg(not(feature = "debug"))]
    let left_out = [
        ("an_interrupt_flag_that_is_set_is_reported", "only the feature `debug` looks"),
        ("two_cpus_with_one_number_are_reported", "only the feature `debug` looks"),
    ];
    #[cfg(feature = "debug")]
    let left_out = [];
    harness::run_tests_except(
        task,
        &left_out,
        &[
            ("the_example_kernel_passes_on_each_cpu", the_example_kernel_passes_on_each_cpu),
            ("slots_of_nmis_are_tested_too", slots_of_nmis_are_tested_too),
            ("a_window_that_is_not_linked_is_found", a_window_that_is_not_linked_is_found),
            ("tables_linked_in_another_order_are_found", tables_linked_in_another_order_are_found),
            ("a_window_over_something_else_is_found", a_window_over_something_else_is_found),
            ("registers_that_are_not_as_promised_are_found", registers_that_are_not_as_promised_are_found),
            ("an_interrupt_flag_that_is_set_is_reported", an_interrupt_flag_that_is_set_is_reported),
            ("two_cpus_with_one_number_are_reported", two_cpus_with_one_number_are_reported),
        ],
    )
}

/// What was reported to lying kernels.
static REPORTS: IrqLock<Vec<String>> = IrqLock::new(Vec::new());

/// A kernel as the example kernel, but for what it says in the braces.
macro_rules! lying_kernel {
    ($(#[$meta:meta])* $name:ident, $tables:literal table(s) at $base:expr, CPU $cpu:expr $(, $extra:item)*) => {
        $(#[$meta])*
        struct $name;

        impl $name {
            fn tables() -> &'static [PageTable; $tables] {
                static FIXMAP: Fixmap<$tables> = Fixmap::new::<$name>();
                FIXMAP.tables()
            }
        }

        // SAFETY: lies, which is what these tests are about. Each window is of no other use, and nothing is mapped in it but what a
        // test looks at.
        unsafe impl Kernel for $name {
            kernel::as_the_example_kernel!();

            type KmTypes = km::Set;
            type Cpus = U4;
            type Machine = X86;
            type Fixmap = Fixmap<$tables>;

            const FIXMAP_BASE: usize = $base;
            $($extra)*

            fn fixmap() -> &'static Fixmap<$tables> {
                // SAFETY: I9: the same tables.
                unsafe { Fixmap::from_tables::<$name>(Self::tables()) }
            }
            fn cpu() -> usize {
                $cpu
            }
            fn no_execute() -> bool {
                ExampleKernel::no_execute()
            }
            fn report(report: &Report) {
                REPORTS.with(|reports| reports.push(report.to_string()));
            }
        }
    };
}

highmem::km_types! {
    /// A few of each group.
    mod km {
        atomic { first: First, second: Second }
        softirq { third: Third }
        irqsoff { fourth: Fourth }
        nmi { fifth: Fifth }
    }
}

lying_kernel! {
    /// Does not link its window.
    Unlinked, 1 table(s) at FREE_BASE, CPU 0
}
lying_kernel! {
    /// Links its two tables the wrong way round, and counts on so many CPUs that the last one's slots are in the second.
    Swapped, 2 table(s) at FREE_BASE + 2 * TABLE_SPAN, CPU 0
}
lying_kernel! {
    /// Has its window where something else is.
    Taken, 1 table(s) at FREE_BASE + 4 * TABLE_SPAN, CPU 0
}
lying_kernel! {
    /// Does not load the PAT that it says.
    OtherPat, 1 table(s) at FREE_BASE + 6 * TABLE_SPAN, CPU 0, const PAT: Pat = Pat::ALL_TYPES;
}
lying_kernel! {
    /// Links its window, and says so.
    Honest, 1 table(s) at FREE_BASE + 8 * TABLE_SPAN, CPU cpu::number()
}
lying_kernel! {
    /// Believes that there is one CPU.
    OneNumber, 1 table(s) at FREE_BASE + 10 * TABLE_SPAN, CPU 0
}

fn link<K: Kernel>(tables: &'static [PageTable], order: impl Fn(usize) -> usize) {
    for (index, table) in tables.iter().enumerate() {
        // SAFETY: a table of highmem's, for addresses of no other use.
        unsafe { paging::link_table(K::FIXMAP_BASE + order(index) * TABLE_SPAN, (&raw const *table).cast()) };
    }
}

/// Two frames, each with its first eight bytes.
fn frames(task: &mut kernel::kmap::Task<'_>) -> [(Frame, u64); 2] {
    [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210].map(|bytes: u64| {
        let mut frame = frames::alloc_highmem().expect("a frame of high memory");
        kmap_atomic(task.atomic().slots().user0, &mut frame)[..8].copy_from_slice(&bytes.to_le_bytes());
        (frame, bytes)
    })
}

/// Eight bytes, if there is a page.
fn read(address: usize) -> Option<u64> {
    let mut bytes = [0; 8];
    for (offset, byte) in bytes.iter_mut().enumerate() {
        *byte = probe::read_u8(address + offset).ok()?;
    }
    Some(u64::from_le_bytes(bytes))
}

fn test<K: Kernel<Paging = Paging>>(task: &mut kernel::kmap::Task<'_>) -> Result<(), Error> {
    let [(one, first), (two, second)] = &frames(task);
    // SAFETY: I1: another kernel's task, with another window; `task` is borrowed, so that this thread is one of either.
    unsafe { Task::<K>::enter(|task| selftest(task, [(one, *first), (two, *second)], read)) }
}

/// The test fails, in such a way that the message has these parts.
#[track_caller]
fn fails(result: Result<(), Error>, parts: &[&str]) -> Error {
    let error = result.expect_err("the self-test passes");
    let text = error.to_string();
    println!("  {text}");
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    error
}

fn the_example_kernel_passes_on_each_cpu(task: &mut kernel::kmap::Task<'_>) {
    smp::run_on_all(task, |task, cpu| {
        let [(one, first), (two, second)] = &frames(task);
        let result = selftest(task, [(one, *first), (two, *second)], read);
        assert_eq!(result, Ok(()), "on CPU {cpu}");
        // What the self-test allows, this kernel does: global translations only where it says so, and in each entry.
        const GLOBAL: u64 = 1 << 8;
        let global = ExampleKernel::TRANSLATIONS == Translations::Global;
        // SAFETY: reads registers, in ring 0.
        let registers = unsafe { X86::registers() }.expect("a processor has registers");
        assert_eq!(registers.global_pages, global, "on CPU {cpu}");
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, one);
        assert_eq!(kmap::entry(mapped.address()) & GLOBAL != 0, global, "on CPU {cpu}");
        drop(mapped);
        drop(atomic);
        assert!(kmap::slots().all(|(_, address)| kmap::entry(address) == 0), "a slot is left mapped");
        assert!(irq::enabled(), "interrupts are off");
    });
}

fn slots_of_nmis_are_tested_too(task: &mut kernel::kmap::Task<'_>) {
    let [(one, first), (two, second)] = &frames(task);
    let pages = [(one, *first), (two, *second)];
    // SAFETY: I1: no NMI comes in this program, and this window has no other user.
    let nmi = || unsafe { Nmi::<Honest>::enter(|nmi| selftest::of_nmi(nmi, pages, read)) };
    let Err(Error::NotMapped(Place { slot, .. })) = nmi() else { panic!("passes without a window") };
    assert_eq!(slot, "Fifth");
    link::<Honest>(Honest::tables(), |index| index);
    assert_eq!(nmi(), Ok(()));
    assert_eq!(test::<Honest>(task), Ok(()));
}

fn a_window_that_is_not_linked_is_found(task: &mut kernel::kmap::Task<'_>) {
    let error = fails(test::<Unlinked>(task), &["slot First on CPU 0", "are the window's tables linked"]);
    assert!(matches!(error, Error::NotMapped(at) if at.slot == "First"));
}

fn tables_linked_in_another_order_are_found(task: &mut kernel::kmap::Task<'_>) {
    link::<Swapped>(Swapped::tables(), |index| 1 - index);
    let error = fails(test::<Swapped>(task), &["slot First on CPU 0"]);
    assert!(matches!(error, Error::NotMapped(_)));
}

fn a_window_over_something_else_is_found(task: &mut kernel::kmap::Task<'_>) {
    // The table in use is another one, which maps the same frame everywhere.
    static OTHER: PageTable = PageTable::empty();
    let frame = frames::alloc_highmem().expect("a frame of high memory");
    let first: *mut paging::Raw = (&raw const OTHER).cast_mut().cast();
    let entry = paging::page(highmem::Page::pfn(&frame).address(), false, paging::has_nx());
    for index in 0..TABLE_SPAN / highmem::PAGE_SIZE {
        // SAFETY: inside of this table, which is not in use yet.
        unsafe { first.add(index).write_volatile(entry as paging::Raw) };
    }
    // SAFETY: it maps a frame of this test, read only.
    unsafe { paging::link_table(Taken::FIXMAP_BASE, (&raw const OTHER).cast()) };
    let error = fails(test::<Taken>(task), &["slot First on CPU 0", "who else uses this address?"]);
    assert!(matches!(error, Error::NotEmpty(_)));
    core::mem::forget(frame); // it stays mapped
}

fn registers_that_are_not_as_promised_are_found(task: &mut kernel::kmap::Task<'_>) {
    fails(test::<OtherPat>(task), &["CPU 0: IA32_PAT is not what `Kernel::PAT` says"]);
}

/// Takes the reports there should be, of which the first has these parts and names this file.
#[track_caller]
fn reported(count: usize, parts: &[&str]) {
    let reports = REPORTS.with(core::mem::take);
    reports.iter().for_each(|report| println!("  {report}"));
    assert_eq!(reports.len(), count);
    assert!(parts.iter().all(|part| reports[0].contains(part)) && reports[0].contains(file!()));
}

/// A kernel without accounts enters an interrupt context with interrupts on: only the processor knows.
fn an_interrupt_flag_that_is_set_is_reported(_: &mut kernel::kmap::Task<'_>) {
    let map = |irq: &mut HardIrq<'_, Honest>| {
        kmap_atomic(irq.slots().fourth, frames::alloc_highmem().expect("a frame of high memory")).fill(1);
    };
    // SAFETY: I1: a lie; nobody else uses this window.
    unsafe { HardIrq::<Honest>::enter(map) };
    reported(1, &["slot Fourth on CPU 0", "needs interrupts off, but the interrupt flag is set"]);
    let were_on = Honest::irq_save();
    // SAFETY: I1: with interrupts off, this is as good as an interrupt.
    unsafe {
        HardIrq::<Honest>::enter(map);
        Honest::irq_restore(were_on);
    }
    assert!(REPORTS.with(|reports| reports.is_empty()));
}

fn two_cpus_with_one_number_are_reported(task: &mut kernel::kmap::Task<'_>) {
    link::<OneNumber>(OneNumber::tables(), |index| index);
    let cpus = smp::count();
    smp::run_on_all(task, |_, _| {
        static ONE_AT_A_TIME: IrqLock<()> = IrqLock::new(());
        let frame = frames::alloc_highmem().expect("a frame of high memory");
        // SAFETY: I1: a lie about the number; the lock keeps CPUs from using the same slot at the same time.
        ONE_AT_A_TIME.with(|()| unsafe {
            Task::<OneNumber>::enter(|task| kmap_atomic(task.atomic().slots().first, frame).fill(1));
        });
    });
    if cpus == 1 {
        assert!(REPORTS.with(|reports| reports.is_empty()));
    } else {
        reported(cpus - 1, &["slot First at ", "`Kernel::cpu` says 0 on two CPUs, those with local APIC "]);
    }
}

const _: () = assert!(<km::Set as KmTypes>::NAMES.len() == 5);
