//! Does user space do what a process may expect, and nothing that the kernel does not?

use alloc::vec;
use alloc::vec::Vec;

use highmem::copy::CopyBy;
use highmem::kernel::Faults::{self, Handled, NotHandled};
use highmem::{PAGE_SIZE, user::Error as UserError};
use kernel::frames::{self, Zone};
use kernel::kmap::{self, Task, UserSlice};
use kernel::user::call::{self, Error, Report};
use kernel::user::copy::{copy_from_user, copy_to_user};
use kernel::user::layout::{MEMORY, MEMORY_SIZE, PROGRAMS, STACK_SIZE, STACK_TOP, USER_END};
use kernel::user::process::{self, Child, Exit};
use kernel::user::{self, Program};
use kernel::{arch, harness, irq, paging, println, smp, thread, timer};

use crate::programs::entry;

kernel::main!(user_tests);

fn user_tests(task: &mut Task<'_>) {
    harness::run_tests_and_panic(
        task,
        &[
            ("a_process_gives_its_exit_code", a_process_gives_its_exit_code),
            ("memory_has_a_frame_only_when_it_is_touched", memory_has_a_frame_only_when_it_is_touched),
            ("what_a_child_writes_its_parent_does_not_see", what_a_child_writes_its_parent_does_not_see),
            ("what_a_parent_writes_its_child_does_not_see", what_a_parent_writes_its_child_does_not_see),
            ("a_copied_page_has_the_bytes_of_the_shared_one", a_copied_page_has_the_bytes_of_the_shared_one),
            ("a_page_is_copied_once_and_then_reused", a_page_is_copied_once_and_then_reused),
            ("untouched_memory_is_zero", untouched_memory_is_zero),
            ("a_copy_says_how_much_is_left", |task| by_words_and_bytes(task, a_copy_says_how_much_is_left)),
            ("a_copy_stops_at_a_missing_page", |task| by_words_and_bytes(task, a_copy_stops_at_a_missing_page)),
            ("a_copy_that_may_not_sleep_brings_nothing_in", a_copy_that_may_not_sleep_brings_nothing_in),
            ("a_copy_where_nobody_may_sleep_does_not", a_copy_where_nobody_may_sleep_does_not),
            ("the_kernel_is_not_user_space", the_kernel_is_not_user_space),
            ("programs_cannot_be_written", programs_cannot_be_written),
            ("system_calls_refuse_what_is_wrong", system_calls_refuse_what_is_wrong),
            ("strange_registers_do_not_hurt_the_kernel", strange_registers_do_not_hurt_the_kernel),
            ("a_process_that_may_not_dies_alone", a_process_that_may_not_dies_alone),
            ("a_process_that_touches_the_kernel_dies_alone", a_process_that_touches_the_kernel_dies_alone),
            ("a_parent_hears_that_its_child_died", a_parent_hears_that_its_child_died),
            ("registers_of_ring_3_survive_preemption", registers_of_ring_3_survive_preemption),
            ("there_are_only_so_many_processes", there_are_only_so_many_processes),
        ],
        (
            "a_fault_in_the_kernels_memory_stops_the_machine",
            a_fault_in_the_kernels_memory_stops_the_machine,
            "a copy of user memory has met a page fault in the kernel's",
        ),
    )
}

// What the tests have in common

/// Pages of each process, where the number does not matter.
const PAGES: usize = 64;

/// Ticks a second on the first CPU, and clocks between two on the others, for many switches.
const RATE: u32 = 1_000;
const CLOCKS: u32 = 1_000_000;

/// Does it by both kinds of instructions that copies of user memory are made of: a fault may come within a word, or between two bytes.
fn by_words_and_bytes(task: &mut Task<'_>, test: fn(&mut Task<'_>)) {
    let usual = kmap::copy_by();
    for by in [CopyBy::Words, CopyBy::Bytes] {
        kmap::set_copy_by(by);
        test(task);
    }
    kmap::set_copy_by(usual);
}

/// Runs a program to its end, and looks whether it has given back all frames.
#[track_caller]
fn run(task: &mut Task<'_>, program: Program, arguments: [usize; 3]) -> Exit {
    balanced(task, |task| process::spawn(task, program, arguments).expect("there is memory").wait(task))
}

/// Runs `f`, and looks whether there are as many free frames as before.
#[track_caller]
fn balanced<R>(task: &mut Task<'_>, f: impl FnOnce(&mut Task<'_>) -> R) -> R {
    let free = || Zone::ALL.map(|zone| frames::stats(zone).free);
    let before = free();
    let result = f(task);
    assert_eq!(free(), before, "frames that were not given back, by zone");
    result
}

/// Runs `f` in this thread with an address space of its own.
#[track_caller]
fn with_space<R>(task: &mut Task<'_>, f: impl FnOnce(&mut Task<'_>) -> R) -> R {
    balanced(task, |task| user::with_space(task, f).expect("there is memory"))
}

/// Runs `f` while all CPUs have many ticks.
fn with_many_ticks<R>(task: &mut Task<'_>, f: impl FnOnce(&mut Task<'_>) -> R) -> R {
    timer::set_rate(RATE);
    smp::run_on_all(task, |_, _| timer::start_local(CLOCKS));
    let result = f(task);
    smp::run_on_all(task, |_, _| timer::stop_local());
    timer::set_rate(timer::DEFAULT_RATE);
    result
}

// Processes and their memory

fn a_process_gives_its_exit_code(task: &mut Task<'_>) {
    for code in [0, 1, -1, i32::MAX, i32::MIN] {
        assert_eq!(run(task, entry::exit(), [code as u32 as usize, 0, 0]), Exit::Code(code));
    }
    let numbers: Vec<u32> = (0..3)
        .map(|_| {
            let process = process::spawn(task, entry::exit(), [0; 3]).expect("there is memory");
            let number = process.id();
            assert_eq!(process.wait(task), Exit::Code(0));
            number
        })
        .collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

fn untouched_memory_is_zero(task: &mut Task<'_>) {
    // Frames that others have used come back.
    for _ in 0..2 {
        assert_eq!(run(task, entry::child_first(), [PAGES, 0, 0]), Exit::Code(0));
        assert_eq!(run(task, entry::zeros(), [PAGES, 0, 0]), Exit::Code(0));
    }
    assert_eq!(run(task, entry::zeros(), [MEMORY_SIZE / PAGE_SIZE, 0, 0]), Exit::Code(0));
    for address in [MEMORY + MEMORY_SIZE - 1, STACK_TOP - 1, STACK_TOP - STACK_SIZE] {
        assert_eq!(run(task, entry::peek(), [address, 0, 0]), Exit::Code(0));
    }
    call::take_reports();
}

fn memory_has_a_frame_only_when_it_is_touched(task: &mut Task<'_>) {
    let high = || frames::stats(Zone::High).free + frames::stats(Zone::Above4G).free;
    with_space(task, |task| {
        let (before, zeroed) = (high(), user::stats().zeroed);
        for (page, at) in (MEMORY..MEMORY + MEMORY_SIZE).step_by(PAGE_SIZE).enumerate().step_by(7).take(PAGES) {
            let mut byte = [0xff];
            read(task, at + page % PAGE_SIZE, &mut byte).expect("memory is there");
            assert_eq!(byte, [0]);
        }
        assert_eq!(before - high(), PAGES, "high frames");
        assert_eq!(user::stats().zeroed - zeroed, PAGES as u64);
    });
}

fn what_a_child_writes_its_parent_does_not_see(task: &mut Task<'_>) {
    call::take_reports();
    assert_eq!(run(task, entry::child_first(), [PAGES, 0, 0]), Exit::Code(0));
    let reports = call::take_reports();
    assert!(matches!(reports[..], [Report { numbers: [1, PAGES], .. }]), "the child fails: {reports:?}");
}

fn what_a_parent_writes_its_child_does_not_see(task: &mut Task<'_>) {
    // Without a switch between `fork` and the writing, the translations of before are still there.
    for _ in 0..4 {
        assert_eq!(run(task, entry::parent_first(), [PAGES, 0, 0]), Exit::Code(0));
    }
    call::take_reports();
}

fn a_copied_page_has_the_bytes_of_the_shared_one(task: &mut Task<'_>) {
    assert_eq!(run(task, entry::one_word(), [PAGES, 0, 0]), Exit::Code(0));
}

fn a_page_is_copied_once_and_then_reused(task: &mut Task<'_>) {
    let before = user::stats();
    assert_eq!(run(task, entry::child_first(), [PAGES, 0, 0]), Exit::Code(0));
    let after = user::stats();
    let counts = [after.zeroed - before.zeroed, after.copied - before.copied, after.reused - before.reused];
    assert_eq!(counts, [PAGES as u64; 3], "zeroed by the parent, copied for the child, reused by the parent");
    call::take_reports();
}

// Copies

/// Fills `to` from user space.
fn read(task: &mut Task<'_>, from: usize, to: &mut [u8]) -> Result<(), UserError> {
    let mut from = UserSlice::new(from, to.len())?.reader();
    highmem::copy_from_user(task, to, &mut from)
}

/// Copies `from` to user space.
fn write(task: &mut Task<'_>, to: usize, from: &[u8]) -> Result<(), UserError> {
    highmem::copy_to_user(task, &mut UserSlice::new(to, from.len())?.writer(), from)
}

/// How many bytes are left of a copy of `len` bytes from user space, and that all others have arrived, and no others.
#[track_caller]
fn left_of_read(_task: &mut Task<'_>, from: usize, len: usize, faults: Faults, is: impl Fn(usize) -> u8) -> usize {
    let mut bytes = vec![0xee; len + 2];
    // SAFETY: within the vector; the task is lent.
    let left = unsafe { copy_from_user(bytes.as_mut_ptr().wrapping_add(1), from, len, faults) };
    let (copied, rest) = bytes[1..].split_at(len - left);
    assert!(copied.iter().enumerate().all(|(at, &byte)| byte == is(from + at)), "{len} bytes from {from:#x}");
    assert!(bytes[0] == 0xee && rest.iter().all(|&byte| byte == 0xee), "{len} bytes from {from:#x}");
    left
}

/// How many bytes are left of a copy of so many times `byte` to user space.
fn left_of_write(_task: &mut Task<'_>, to: usize, len: usize, faults: Faults, byte: u8) -> usize {
    let bytes = vec![byte; len];
    // SAFETY: the vector; the task is lent.
    unsafe { copy_to_user(to, bytes.as_ptr(), len, faults) }
}

/// Lengths on both sides of words and pages.
const LENGTHS: [usize; 10] = [0, 1, 3, 4, 7, 8, 63, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1];

fn a_copy_says_how_much_is_left(task: &mut Task<'_>) {
    const END: usize = MEMORY + MEMORY_SIZE;
    with_space(task, |task| {
        for before in LENGTHS {
            for behind in LENGTHS {
                // `before` bytes in the last pages, and what is behind them.
                assert_eq!(left_of_write(task, END - before, before + behind, Handled, 0x5a), behind);
                assert_eq!(left_of_read(task, END - before, before + behind, Handled, |_| 0x5a), behind);
                assert_eq!(left_of_read(task, END - before, before + behind, NotHandled, |_| 0x5a), behind);
            }
        }
        // Nothing before the first page, either.
        assert_eq!(left_of_read(task, MEMORY - 1, 2, Handled, |_| 0), 2);
        assert_eq!(left_of_read(task, 0, 16, Handled, |_| 0), 16);
    });
}

fn a_copy_stops_at_a_missing_page(task: &mut Task<'_>) {
    with_space(task, |task| {
        // Each boundary between a page that is there and one that is not yet.
        for boundary in (MEMORY + PAGE_SIZE..).step_by(2 * PAGE_SIZE).take(PAGES) {
            write(task, boundary - PAGE_SIZE, &[0x77]).expect("memory is there");
            let value = |at| if at == boundary - PAGE_SIZE { 0x77 } else { 0 };
            for len in LENGTHS.into_iter().filter(|&len| len <= PAGE_SIZE) {
                assert_eq!(left_of_read(task, boundary - len, len + 5, NotHandled, value), 5);
                assert_eq!(left_of_write(task, boundary - len, len + 5, NotHandled, 0), 5);
                write(task, boundary - PAGE_SIZE, &[0x77]).expect("memory is there");
            }
            assert_eq!(left_of_read(task, boundary - 9, 14, Handled, value), 0);
            assert_eq!(left_of_read(task, boundary - 9, 14, NotHandled, value), 0);
        }
    });
}

fn a_copy_that_may_not_sleep_brings_nothing_in(task: &mut Task<'_>) {
    with_space(task, |task| {
        let before = user::stats();
        assert_eq!(left_of_read(task, MEMORY, PAGE_SIZE, NotHandled, |_| 0), PAGE_SIZE);
        assert_eq!(left_of_write(task, MEMORY, PAGE_SIZE, NotHandled, 1), PAGE_SIZE);
        assert_eq!(user::stats(), before);
        assert_eq!(left_of_write(task, MEMORY, PAGE_SIZE, Handled, 1), 0);
        assert_eq!(left_of_read(task, MEMORY, PAGE_SIZE, NotHandled, |_| 1), 0);
        assert_eq!(user::stats().zeroed - before.zeroed, 1);
    });
    // A thread without an address space has nothing.
    assert_eq!(left_of_read(task, MEMORY, 8, Handled, |_| 0), 8);
    assert_eq!(write(task, MEMORY, &[1]), Err(UserError::Fault { left: 1 }));
}

/// Whoever says that a copy may sleep, and is wrong, is not believed.
fn a_copy_where_nobody_may_sleep_does_not(task: &mut Task<'_>) {
    let mut byte = 0xee;
    let to = &raw mut byte;
    with_space(task, |task| {
        let before = user::stats();
        let atomic = task.atomic();
        // SAFETY: the byte may be written. That the task is lent is the lie.
        assert_eq!(unsafe { copy_from_user(to, MEMORY, 1, Handled) }, 1);
        drop(atomic);
        irq::with_disabled(|| {
            // SAFETY: as above.
            assert_eq!(unsafe { copy_from_user(to, MEMORY, 1, Handled) }, 1);
        });
        {
            let mut atomic = task.atomic();
            let _bh_off = atomic.bh_off();
            // SAFETY: as above.
            assert_eq!(unsafe { copy_from_user(to, MEMORY, 1, Handled) }, 1);
        }
        assert_eq!(user::stats(), before);
        read(task, MEMORY, &mut [0]).expect("memory is there");
    });
    assert_eq!(byte, 0xee);
}

fn the_kernel_is_not_user_space(task: &mut Task<'_>) {
    static SECRET: [u8; 16] = *b"not for programs";
    let secret = &raw const SECRET as usize;
    let stack = thread::stack().end - PAGE_SIZE;
    with_space(task, |task| {
        let places = [secret, stack, arch::DIRECT_MAP_BASE, USER_END, USER_END - 8, usize::MAX - 8, usize::MAX];
        for address in places {
            for faults in [NotHandled, Handled] {
                assert_eq!(left_of_read(task, address, 16, faults, |_| 0), 16, "{address:#x}");
                assert_eq!(left_of_write(task, address, 16, faults, 0x66), 16, "{address:#x}");
            }
        }
        assert_eq!(left_of_read(task, MEMORY, 0, Handled, |_| 0), 0);
    });
    assert_eq!(SECRET, *b"not for programs");
}

fn programs_cannot_be_written(task: &mut Task<'_>) {
    let entry = entry::exit().entry();
    with_space(task, |task| {
        let mut before = [0; 4];
        read(task, entry, &mut before).expect("programs can be read");
        assert_eq!(left_of_write(task, entry, 4, Handled, 0), 4);
        let mut after = [0; 4];
        read(task, entry, &mut after).expect("programs can be read");
        assert_eq!(before, after);
    });
    let Exit::PageFault(fault) = run(task, entry::poke(), [entry, 0, 0]) else { panic!("a program was written") };
    assert!(fault.address == entry && fault.was_user() && fault.was_write() && fault.was_present(), "{fault}");
}

// System calls

fn system_calls_refuse_what_is_wrong(task: &mut Task<'_>) {
    let kernel = entry::exit as *const () as usize;
    let cases = [
        ([call::PRINT, kernel, 4], Error::Fault),
        ([call::PRINT, USER_END - 2, 4], Error::Fault),
        ([call::PRINT, usize::MAX - 2, 4], Error::Fault),
        ([call::PRINT, 0, 1], Error::Fault),
        ([call::PRINT, MEMORY + MEMORY_SIZE - 2, 4], Error::Fault),
        ([call::WAIT, 0, 0], Error::NoChild),
        ([call::WAIT, 1, MEMORY], Error::NoChild),
        ([1 << 20, 0, 0], Error::NoCall),
        ([usize::MAX, 0, 0], Error::NoCall),
    ];
    for (call, error) in cases {
        assert_eq!(run(task, entry::call(), call), Exit::Code(error as i32), "{call:x?}");
    }
    assert_eq!(run(task, entry::call(), [call::PRINT, MEMORY, 0]), Exit::Code(0));
    assert_eq!(run(task, entry::call(), [call::PRINT, entry::text().entry(), 23]), Exit::Code(23));
    assert_eq!(run(task, entry::call(), [call::YIELD, 0, 0]), Exit::Code(0));
}

fn strange_registers_do_not_hurt_the_kernel(task: &mut Task<'_>) {
    assert_eq!(run(task, entry::strange(), [0; 3]), Exit::Code(7));
}

// Crimes

fn a_process_that_may_not_dies_alone(task: &mut Task<'_>) {
    const DIVIDE: &[u8] = &[0];
    const STEP: &[u8] = &[1];
    const UNDEFINED: &[u8] = &[6];
    const NO_FPU: &[u8] = &[7];
    const PROTECTION: &[u8] = &[13];
    let crimes: [(&str, Program, &[u8]); 18] = [
        ("div", entry::divide(), DIVIDE),
        ("hlt", entry::hlt(), PROTECTION),
        ("cli", entry::cli(), PROTECTION),
        ("in", entry::port_in(), PROTECTION),
        ("out", entry::port_out(), PROTECTION),
        ("mov from cr3", entry::cr3(), PROTECTION),
        ("invlpg", entry::invlpg(), PROTECTION),
        ("int3", entry::int3(), PROTECTION),
        ("int 14", entry::int14(), PROTECTION),
        ("int 0x40", entry::int_timer(), PROTECTION),
        ("ud2", entry::ud2(), UNDEFINED),
        ("fninit", entry::fpu(), NO_FPU),
        ("mov ds", entry::kernel_data(), PROTECTION),
        ("mov fs", entry::own_segment(), PROTECTION),
        ("retf", entry::kernel_code(), PROTECTION),
        ("popf", entry::step(), STEP),
        // #TS, or #GP in 64-bit mode; an unknown instruction in 32-bit mode.
        ("iret", entry::nested_iret(), &[10, 13]),
        ("syscall", entry::kernel_call(), UNDEFINED),
    ];
    let innocent = process::spawn(task, entry::registers(), [1_000_000, 0, 0]).expect("there is memory");
    for (name, program, vectors) in crimes {
        let process = process::spawn(task, program, [MEMORY, 0, 0]).expect("there is memory");
        let exit = process.wait(task);
        assert!(matches!(exit, Exit::Exception(vector) if vectors.contains(&vector)), "{name}: {exit}");
    }
    assert_eq!(innocent.wait(task), Exit::Code(0));
}

fn a_process_that_touches_the_kernel_dies_alone(task: &mut Task<'_>) {
    static WRITABLE: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(5);
    let data = &raw const WRITABLE as usize;
    let places = [
        0,
        data,
        paging::text().start,
        arch::DIRECT_MAP_BASE,
        arch::LAPIC_BASE,
        arch::WINDOW_BASE,
        USER_END,
        PROGRAMS - 1,
        MEMORY - 1,
        MEMORY + MEMORY_SIZE,
        STACK_TOP,
        STACK_TOP - STACK_SIZE - 1,
    ];
    for (program, is_write) in [(entry::peek(), false), (entry::poke(), true), (entry::jump(), false)] {
        for address in places {
            let Exit::PageFault(fault) = run(task, program, [address, 0xff, 0]) else {
                panic!("a process has touched {address:#x}");
            };
            assert!(fault.address == address && fault.was_user() && fault.was_write() == is_write, "{fault}");
        }
    }
    assert_eq!(WRITABLE.load(core::sync::atomic::Ordering::Relaxed), 5);
    if paging::has_nx() {
        let Exit::PageFault(fault) = run(task, entry::jump(), [MEMORY, 0, 0]) else { panic!("memory was executed") };
        assert!(fault.was_instruction_fetch(), "{fault}");
    }
}

fn a_parent_hears_that_its_child_died(task: &mut Task<'_>) {
    assert_eq!(run(task, entry::bad_child(), [0; 3]), Exit::Code(-1));
}

// The scheduler

fn registers_of_ring_3_survive_preemption(task: &mut Task<'_>) {
    let count = 3 * smp::count().min(3);
    let mut turns = 0;
    balanced(task, |task| {
        with_many_ticks(task, |task| {
            let processes: Vec<Child> = (0..count)
                .map(|_| process::spawn(task, entry::registers(), [1_500_000, 0, 0]).expect("there is memory"))
                .collect();
            // The processes never wait, and there are more of them than CPUs; but this thread has its turns, too.
            while processes.iter().any(|process| !process.is_finished()) {
                turns += 1;
                thread::yield_now(task);
            }
            for process in processes {
                assert_eq!(process.wait(task), Exit::Code(0), "bits of registers");
            }
        });
    });
    println!("{count} processes, {turns} turns of this thread");
    assert!(turns > 10, "the timer does not interrupt ring 3: {turns} turns");
}

fn there_are_only_so_many_processes(task: &mut Task<'_>) {
    balanced(task, |task| {
        let first = process::spawn(task, entry::bomb(), [0; 3]).expect("there is memory");
        assert_eq!(first.wait(task), Exit::Code(Error::TooMany as i32));
    });
}

// The last one

fn a_fault_in_the_kernels_memory_stops_the_machine(task: &mut Task<'_>) {
    let below_the_stack = thread::stack().start - PAGE_SIZE;
    with_space(task, |task| {
        write(task, MEMORY, &[1]).expect("memory is there");
        // SAFETY: a lie: nothing is there to be written.
        unsafe { copy_from_user(core::ptr::with_exposed_provenance_mut(below_the_stack), MEMORY, 1, NotHandled) }
    });
}
