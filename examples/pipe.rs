//! Two processes in ring 3, and a pipe between them, whose pages are high memory without an address. The writer sends pseudo-random bytes,
//! the reader takes them in pieces of other sizes, and both add them up; some of the memory that is copied from and to has no frame yet, or
//! one that both have. That goes on for some seconds; at the end, both have the same sums, and no frame is missing.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::arch::global_asm;
use core::ffi::c_void;
use core::time::Duration;

use kernel::frames::{self, Zone};
use kernel::kmap::Task;
use kernel::user::call::{self, Report};
use kernel::user::process::{self, Exit};
use kernel::user::{self, Program, copy, layout, pipe};
use kernel::{println, report, smp, timer};

kernel::main!(pipes);

/// How long new processes are started.
const TIME: Duration = Duration::from_secs(10);

/// Pairs of processes at a time, and pieces that each writer writes: 32 KiB on average.
const PAIRS: usize = 2;
const PIECES: usize = 768;

/// Pages that the writer fills before there is a reader, which has them, too, then.
const FILLED: usize = 64;

// The writer, with a seed in ebx and the number of pieces in ecx. It forks the reader, and both report the seed and a sum, then the seed and
// a number of bytes. Each ends with 0, or with the place at which something is wrong.
global_asm!(
    ".pushsection .user, \"a\"",
    // The next pseudo-random number, in eax: that of a process, whose state is at ebp + 8 (xorshift32). Uses ecx.
    ".macro random",
    "mov eax, [ebp + 8]",
    "mov ecx, eax",
    "shl ecx, 13",
    "xor eax, ecx",
    "mov ecx, eax",
    "shr ecx, 17",
    "xor eax, ecx",
    "mov ecx, eax",
    "shl ecx, 5",
    "xor eax, ecx",
    "mov [ebp + 8], eax",
    ".endm",
    // Adds edx bytes at esi, a multiple of 16, to the sum in edi, in which each word's place counts; and to the number of bytes.
    ".macro sum",
    "add [ebp + 16], edx",
    "shr edx, 4",
    "1:",
    ".irp at, 0, 4, 8, 12",
    "lea edi, [edi + 2 * edi]",
    "add edi, [esi + \\at]",
    ".endr",
    "add esi, 16",
    "dec edx",
    "jnz 1b",
    ".endm",
    // Makes a system call, and goes to `end` with the place in ebx if that gives an error.
    ".macro ask number, place",
    "mov eax, \\number",
    "int 0x80",
    "test eax, eax",
    "mov ebx, \\place",
    "js end",
    ".endm",
    // Closes the end whose number is at an address.
    ".macro close at, place",
    "mov ebx, [\\at]",
    "ask {close}, \\place",
    ".endm",
    ".macro report_all place",
    "mov ebx, [ebp + 20]",
    "mov ecx, edi",
    "ask {report}, \\place",
    "mov ebx, [ebp + 20]",
    "mov ecx, [ebp + 16]",
    "ask {report}, \\place",
    ".endm",
    // At ebp: the two ends, the state, the pieces that are left, the number of bytes, the seed, an exit code.
    ".globl writer",
    "writer:",
    "mov ebp, {stack} - 64",
    "mov [ebp + 8], ebx",
    "mov [ebp + 12], ecx",
    "mov dword ptr [ebp + 16], 0",
    "mov [ebp + 20], ebx",
    "mov esi, {memory}",
    "mov edx, {filled} * 1024",
    "1: random",
    "mov [esi], eax",
    "add esi, 4",
    "dec edx",
    "jnz 1b",
    "mov ebx, ebp",
    "ask {pipe}, 1",
    "xor edi, edi",
    "ask {fork}, 2",
    "jz reader",
    "close ebp, 3",
    // A piece of up to 64 KiB, at an address that need not be aligned. Only its first word is touched before it is written.
    "piece:",
    "random",
    "mov edx, eax",
    "and edx, 0xfff0",
    "add edx, 16",
    "mov ecx, eax",
    "shr ecx, 10",
    "and ecx, 0x3fffff",
    "cmp ecx, {memory_size} - 0x10000",
    "jae piece",
    "add ecx, {memory}",
    "mov [ecx], eax",
    "mov esi, ecx",
    "mov ebx, [ebp + 4]",
    "ask {write}, 4",
    "cmp eax, edx",
    "mov ebx, 5",
    "jne end",
    "sum",
    "dec dword ptr [ebp + 12]",
    "jnz piece",
    "close ebp+4, 6",
    "report_all 7",
    "xor ebx, ebx",
    "lea ecx, [ebp + 24]",
    "ask {wait}, 8",
    "mov ebx, [ebp + 24]",
    "jmp end",
    // The reader takes up to 128 KiB at once: as much as is there, to where it has been, or has not, or where the writer was before it.
    "reader:",
    "close ebp+4, 11",
    "xor dword ptr [ebp + 8], 0x5bd1e995",
    "take:",
    "random",
    "mov edx, eax",
    "and edx, 0x1fff0",
    "add edx, 16",
    "mov ecx, eax",
    "shr ecx, 10",
    "and ecx, 0x3fffff",
    "cmp ecx, {memory_size} - 0x20000",
    "jae take",
    "add ecx, {memory}",
    "mov esi, ecx",
    "mov ebx, [ebp]",
    "ask {read}, 12",
    "jz no_more",
    "mov edx, eax",
    "mov ebx, 13",
    "test al, 15",
    "jnz end",
    "sum",
    "jmp take",
    "no_more:",
    "report_all 14",
    "xor ebx, ebx",
    "end:",
    "mov eax, {exit}",
    "int 0x80",
    ".popsection",
    memory = const layout::MEMORY,
    memory_size = const layout::MEMORY_SIZE,
    filled = const FILLED,
    stack = const layout::STACK_TOP,
    pipe = const call::PIPE,
    fork = const call::FORK,
    read = const call::READ,
    write = const call::WRITE,
    close = const call::CLOSE,
    report = const call::REPORT,
    wait = const call::WAIT,
    exit = const call::EXIT,
);

unsafe extern "C" {
    #[link_name = "writer"]
    static WRITER: c_void;
}

fn pipes(task: &mut Task<'_>) {
    report::left_out();
    println!("CPUs: {}, {PAIRS} pipes of {} pages at a time", smp::count(), pipe::PAGES);
    let free = || Zone::ALL.map(|zone| frames::stats(zone).free);
    let before = free();

    let start = timer::uptime();
    let (mut bytes, mut rounds) = (0, 0);
    while rounds == 0 || timer::uptime() - start < TIME {
        rounds += 1;
        bytes += round(task, rounds);
    }
    let time = timer::uptime() - start;

    let rate = bytes * 1_000 / (time.as_millis() as u64).max(1);
    println!("{} MiB in {} ms, {} MiB/s, by {} pairs", bytes >> 20, time.as_millis(), rate >> 20, rounds * PAIRS);
    let (copies, pages) = (copy::stats(), user::stats());
    println!("atomic copies: {} enough, {} cut short by a page", copies.whole, copies.cut_short);
    println!("pages brought in by copies that slept: {}", copies.brought_in);
    println!("in all, {} pages of zeros, {} copies, {} pages reused", pages.zeroed, pages.copied, pages.reused);
    assert!(copies.whole > copies.cut_short && copies.cut_short > 0, "{copies:?}");
    // Whoever is cut short brings the page in, and goes on.
    assert!(copies.brought_in >= copies.cut_short, "{copies:?}");

    let after = free();
    for (zone, (before, after)) in Zone::ALL.into_iter().zip(before.into_iter().zip(after)) {
        println!("{zone:20} {before:7} frames free before, {after:7} after");
    }
    assert_eq!(before, after, "frames were not given back");
}

/// Has all pairs move bytes from one to the other, and gives how many those were.
fn round(task: &mut Task<'_>, round: usize) -> u64 {
    let program = Program::at(&raw const WRITER);
    let seed = |pair| round * PAIRS + pair;
    let writers: [_; PAIRS] = core::array::from_fn(|pair| {
        process::spawn(task, program, [seed(pair), PIECES, 0]).expect("there is memory for a process")
    });
    for writer in writers {
        let process = writer.id();
        assert_eq!(writer.wait(task), Exit::Code(0), "process {process} of round {round}, or its reader");
    }
    let reports = call::take_reports();
    (0..PAIRS).map(|pair| moved(&reports, seed(pair))).sum()
}

/// How many bytes a pair has moved, if both say the same: sum and number.
fn moved(reports: &[Report], seed: usize) -> u64 {
    let by = |process| reports.iter().filter(move |report| report.process == process).map(|report| report.numbers);
    let mut processes: Vec<u32> =
        reports.iter().filter(|report| report.numbers[0] == seed).map(|report| report.process).collect();
    processes.sort_unstable();
    processes.dedup();
    let &[writer, reader] = &processes[..] else { panic!("pair {seed:#x} is {processes:?}") };
    let [written, read] = [writer, reader].map(|process| by(process).collect::<Vec<_>>());
    assert_eq!(written, read, "what was written, and what was read");
    assert_eq!(written.len(), 2, "a sum, and a number of bytes");
    written[1][1] as u64
}
