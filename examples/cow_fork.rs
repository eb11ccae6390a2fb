//! Processes in ring 3 fork, write into hundreds of pages that they share, and look at every byte: the pages are high memory, and are copied
//! when one of those who share them writes. At the end, no frame is missing.

#![no_std]
#![no_main]

use core::arch::global_asm;
use core::ffi::c_void;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

use kernel::frames::{self, Zone};
use kernel::kmap::Task;
use kernel::user::process::{self, Exit};
use kernel::user::{self, Program, call, layout};
use kernel::{println, report, smp, timer};

kernel::main!(cow_fork);

/// Pages that each process writes and reads, each byte of them.
const PAGES: usize = 256;

/// Processes that begin, and how many descend from each of them, one from the other.
const FAMILIES: usize = 3;
const GENERATIONS: usize = 4;

/// How often all of that.
const ROUNDS: usize = 8;

/// Ticks a second on the first CPU, and clocks between two on the others: ring 3 is interrupted that often.
const RATE: u32 = 1_000;
const CLOCKS: u32 = 1_000_000;

static TICKS: AtomicU32 = AtomicU32::new(0);

// The program, with a seed in ebx, the number of pages in ecx, and the number of descendants in edx. It ends with 0, or with the place at
// which it has found what it did not write.
global_asm!(
    ".pushsection .user, \"a\"",
    // A word of memory depends on its address and on the seed, which is in esi.
    ".macro fill",
    "mov edi, {memory}",
    "mov ecx, ebp",
    "shl ecx, 10",
    "1: imul eax, edi, 0x9e3779b1",
    "xor eax, esi",
    "mov [edi], eax",
    "add edi, 4",
    "dec ecx",
    "jnz 1b",
    ".endm",
    ".macro verify place",
    "mov ebx, \\place",
    "mov edi, {memory}",
    "mov ecx, ebp",
    "shl ecx, 10",
    "1: imul eax, edi, 0x9e3779b1",
    "xor eax, esi",
    "cmp [edi], eax",
    "jne end",
    "add edi, 4",
    "dec ecx",
    "jnz 1b",
    ".endm",
    ".globl family",
    "family:",
    "mov esi, ebx",
    "mov ebp, ecx",
    "fill",
    "generation:",
    "mov eax, {fork}",
    "int 0x80",
    "mov ebx, eax",
    "test eax, eax",
    "js end",
    "jz child",
    "verify 1",           // the parent: what it shares with the child,
    "add esi, 0x1000193", // then what it writes itself
    "fill",
    "verify 2",
    "mov eax, {wait}",
    "xor ebx, ebx",
    "mov ecx, {stack} - 4",
    "int 0x80",
    "mov edi, {stack} - 4",
    "mov ebx, [edi]",
    "test ebx, ebx",
    "jnz end",
    "verify 3", // and still there when the child has come and gone
    "mov ebx, 0",
    "jmp end",
    "child:",
    "verify 4",
    "mov edi, {memory}", // a word of each page, so that the rest must have been copied,
    "mov ecx, ebp",
    "2: not dword ptr [edi]",
    "not dword ptr [edi]",
    "add edi, 4096",
    "dec ecx",
    "jnz 2b",
    "verify 5",
    "imul esi, esi, 0x1000193",
    "fill", // and then all
    "verify 6",
    "dec edx",
    "jnz generation",
    "mov ebx, 0",
    "end:",
    "mov eax, {exit}",
    "int 0x80",
    ".popsection",
    memory = const layout::MEMORY,
    stack = const layout::STACK_TOP,
    fork = const call::FORK,
    wait = const call::WAIT,
    exit = const call::EXIT,
);

unsafe extern "C" {
    #[link_name = "family"]
    static FAMILY: c_void;
}

fn cow_fork(task: &mut Task<'_>) {
    report::left_out();
    println!("CPUs: {}, {FAMILIES} families of {} processes, {PAGES} pages each", smp::count(), GENERATIONS + 1);
    let free = || Zone::ALL.map(|zone| frames::stats(zone).free);
    let before = (free(), timer::uptime());

    timer::set_handler(|_| {
        TICKS.fetch_add(1, Relaxed);
    });
    timer::set_rate(RATE);
    smp::run_on_all(task, |_, _| timer::start_local(CLOCKS));
    for round in 1..=ROUNDS {
        families(task, round);
    }
    smp::run_on_all(task, |_, _| timer::stop_local());
    timer::set_rate(timer::DEFAULT_RATE);
    timer::clear_handler();

    let (stats, time) = (user::stats(), timer::uptime() - before.1);
    println!("{} pages of zeros, {} copies, {} pages reused", stats.zeroed, stats.copied, stats.reused);
    println!("{} ticks of the timer, {} ms", TICKS.load(Relaxed), time.as_millis());
    // Of a page that two have and both write, the first one has a copy.
    let (families, forks) = (FAMILIES * ROUNDS, FAMILIES * ROUNDS * GENERATIONS);
    assert!(stats.zeroed >= (families * PAGES) as u64 && stats.copied >= (forks * PAGES) as u64, "{stats:?}");
    assert!(stats.reused > 0 && time > Duration::ZERO, "{stats:?} in {time:?}");

    let after = free();
    for (zone, (before, after)) in Zone::ALL.into_iter().zip(before.0.into_iter().zip(after)) {
        println!("{zone:20} {before:7} frames free before, {after:7} after");
    }
    assert_eq!(before.0, after, "frames were not given back");
}

/// One round: all processes from the first to the last.
fn families(task: &mut Task<'_>, round: usize) {
    let program = Program::at(&raw const FAMILY);
    let families: [_; FAMILIES] = core::array::from_fn(|family| {
        let seed = round << 16 | family;
        process::spawn(task, program, [seed, PAGES, GENERATIONS]).expect("there is memory for a process")
    });
    for family in families {
        let process = family.id();
        assert_eq!(family.wait(task), Exit::Code(0), "process {process} of round {round}, or a descendant");
    }
}
