//! Does what goes into a pipe come out of it, and does whoever waits go on? Run it on one CPU, and on several.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::arch::global_asm;
use core::ffi::c_void;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

use highmem::{PAGE_SIZE, copy_from_user, copy_to_user};
use kernel::frames::{self, Zone};
use kernel::harness;
use kernel::kmap::{MaySleep, Task, UserSlice};
use kernel::thread::{self, JoinHandle};
use kernel::user::call::{self, Error as CallError};
use kernel::user::layout::{MEMORY, MEMORY_SIZE, USER_END};
use kernel::user::pipe::{self, Error, PAGES, Reader, Writer};
use kernel::user::process::{self, Exit};
use kernel::user::{self, MAX_ENDS, Program, copy};

kernel::main!(pipe_tests);

fn pipe_tests(task: &mut Task<'_>) {
    harness::run_tests(
        task,
        &[
            ("what_goes_in_comes_out_in_order", what_goes_in_comes_out_in_order),
            ("small_writes_share_a_page", small_writes_share_a_page),
            ("a_full_pipe_blocks_and_goes_on", a_full_pipe_blocks_and_goes_on),
            ("an_empty_pipe_blocks_and_goes_on", an_empty_pipe_blocks_and_goes_on),
            ("without_a_writer_the_pipe_ends", without_a_writer_the_pipe_ends),
            ("without_a_reader_the_pipe_is_broken", without_a_reader_the_pipe_is_broken),
            ("a_write_counts_what_is_before_a_bad_address", a_write_counts_what_is_before_a_bad_address),
            ("a_read_keeps_what_it_cannot_store", a_read_keeps_what_it_cannot_store),
            ("pages_that_are_not_there_are_brought_in", pages_that_are_not_there_are_brought_in),
            ("writes_do_not_mix", writes_do_not_mix),
            ("both_ends_copy_at_the_same_time", both_ends_copy_at_the_same_time),
            ("a_pipe_has_16_pages_at_most", a_pipe_has_16_pages_at_most),
            ("system_calls_refuse_what_is_wrong", system_calls_refuse_what_is_wrong),
            ("a_child_has_the_ends_and_closes_them_when_it_dies", a_child_has_the_ends_and_closes_them_when_it_dies),
        ],
    )
}

// What the tests have in common

/// Where memory ends: behind it, there is nothing up to the stack.
const END: usize = MEMORY + MEMORY_SIZE;

/// Byte number `n` of what goes through a pipe.
fn byte(n: usize) -> u8 {
    ((n as u32).wrapping_mul(0x9e37_79b1) >> 11) as u8
}

/// Bytes from number `n` on.
fn stream(n: usize, len: usize) -> Vec<u8> {
    (n..n + len).map(byte).collect()
}

/// Runs `f` in this thread with an address space of its own, and looks whether it gives all frames back.
#[track_caller]
fn with_space<R>(task: &mut Task<'_>, f: impl FnOnce(&mut Task<'_>) -> R) -> R {
    let free = || Zone::ALL.map(|zone| frames::stats(zone).free);
    let before = free();
    let result = user::with_space(task, f).expect("there is memory");
    assert_eq!(free(), before, "frames that were not given back, by zone");
    result
}

/// How many frames of high memory are free.
fn free() -> usize {
    frames::stats(Zone::High).free + frames::stats(Zone::Above4G).free
}

/// Starts a thread with an address space.
fn with_other_space<R: Send + 'static>(f: impl FnOnce(&mut Task<'_>) -> R + Send + 'static) -> JoinHandle<R> {
    thread::spawn("other", |task| user::with_space(task, f).expect("there is memory"))
}

/// Gives a thread time to do what it can, and looks whether it waits for more.
#[track_caller]
fn assert_waits<R>(task: &mut Task<'_>, thread: &JoinHandle<R>) {
    thread::sleep(task, Duration::from_millis(50));
    assert!(!thread.is_finished(), "it does not wait");
}

/// How many frames were free when all that a writer needs was there, but for the pages of the pipe; 0 if none has said so.
static BEFORE: AtomicUsize = AtomicUsize::new(0);

/// Waits until the pipe of the writer that stores that has all its pages, and forgets it.
fn wait_until_full(task: &mut Task<'_>) {
    while BEFORE.load(Relaxed) != free() + PAGES {
        thread::yield_now(task);
    }
    BEFORE.store(0, Relaxed);
}

/// Puts bytes into user memory.
fn put(task: &mut MaySleep<'_>, at: usize, bytes: &[u8]) {
    let mut to = UserSlice::new(at, bytes.len()).expect("user memory").writer();
    copy_to_user(task, &mut to, bytes).expect("memory is there");
}

/// Takes bytes out of user memory.
fn get(task: &mut MaySleep<'_>, at: usize, len: usize) -> Vec<u8> {
    let mut bytes = alloc::vec![0; len];
    let mut from = UserSlice::new(at, len).expect("user memory").reader();
    copy_from_user(task, &mut bytes[..], &mut from).expect("memory is there");
    bytes
}

fn write(task: &mut MaySleep<'_>, to: &Writer, from: usize, len: usize) -> Result<usize, Error> {
    to.write(task, UserSlice::new(from, len).expect("user memory").reader())
}

fn read(task: &mut MaySleep<'_>, from: &Reader, to: usize, len: usize) -> Result<usize, Error> {
    from.read(task, UserSlice::new(to, len).expect("user memory").writer())
}

/// Writes bytes, by way of the beginning of user memory.
#[track_caller]
fn send(task: &mut MaySleep<'_>, to: &Writer, bytes: &[u8]) {
    put(task, MEMORY, bytes);
    assert_eq!(write(task, to, MEMORY, bytes.len()), Ok(bytes.len()));
}

/// Reads at most `len` bytes, by way of the beginning of user memory.
#[track_caller]
fn receive(task: &mut MaySleep<'_>, from: &Reader, len: usize) -> Vec<u8> {
    let len = read(task, from, MEMORY, len).expect("memory is there");
    get(task, MEMORY, len)
}

// What goes through

fn what_goes_in_comes_out_in_order(task: &mut Task<'_>) {
    const LENGTHS: [usize; 13] = [
        1,
        PAGE_SIZE - 1,
        0,
        PAGE_SIZE,
        2,
        PAGE_SIZE + 1,
        3 * PAGE_SIZE + 7,
        63,
        4,
        2 * PAGE_SIZE,
        777,
        PAGE_SIZE - 2,
        5 * PAGE_SIZE - 3,
    ];
    with_space(task, |task| {
        let (reader, writer) = pipe::new();
        let mut inside = VecDeque::new();
        let (mut written, mut turn) = (0, 0_usize);
        for _ in 0..40 {
            for len in LENGTHS {
                turn += 1;
                if inside.len() + len <= (PAGES - 2) * PAGE_SIZE {
                    let at = MEMORY + turn * 61 % (5 * PAGE_SIZE);
                    put(task, at, &stream(written, len));
                    assert_eq!(write(task, &writer, at, len), Ok(len));
                    inside.extend(stream(written, len));
                    written += len;
                }
                // Other sizes, and other addresses.
                let wanted = LENGTHS[turn * 5 % LENGTHS.len()];
                if inside.is_empty() && wanted > 0 {
                    continue;
                }
                let at = MEMORY + MEMORY_SIZE / 2 + turn * 89 % (3 * PAGE_SIZE);
                put(task, at - 1, &[0xee]);
                put(task, at + wanted, &[0xee]);
                let len = read(task, &reader, at, wanted).expect("memory is there");
                assert_eq!(len, wanted.min(inside.len()));
                assert_eq!(get(task, at, len), inside.drain(..len).collect::<Vec<_>>());
                assert_eq!((get(task, at - 1, 1)[0], get(task, at + wanted, 1)[0]), (0xee, 0xee), "beside them");
            }
        }
        assert!(written > 100 * PAGE_SIZE, "{written} bytes");
    });
}

fn small_writes_share_a_page(task: &mut Task<'_>) {
    with_space(task, |task| {
        put(task, MEMORY, &stream(0, PAGE_SIZE + 1));
        let (reader, writer) = pipe::new();
        let before = free();
        for n in 0..PAGE_SIZE {
            assert_eq!(write(task, &writer, MEMORY + n, 1), Ok(1));
        }
        assert_eq!(before - free(), 1, "pages of the pipe");
        assert_eq!(write(task, &writer, MEMORY + PAGE_SIZE, 1), Ok(1));
        assert_eq!(before - free(), 2, "pages of the pipe");
        assert_eq!(receive(task, &reader, PAGE_SIZE - 1), stream(0, PAGE_SIZE - 1));
        assert_eq!(before - free(), 2, "pages of the pipe");
        assert_eq!(receive(task, &reader, 100), stream(PAGE_SIZE - 1, 2));
        assert_eq!(before, free(), "an empty pipe has no page");
        // With something in it, it goes with its ends.
        send(task, &writer, b"forgotten");
        drop(writer);
        assert_eq!(before - free(), 1, "pages of the pipe");
        drop(reader);
        assert_eq!(before, free());
    });
}

fn a_full_pipe_blocks_and_goes_on(task: &mut Task<'_>) {
    const LEN: usize = 3 * PAGES * PAGE_SIZE + 123;
    with_space(task, |task| {
        // The memory that `receive` uses.
        put(task, MEMORY, &alloc::vec![0; PAGES * PAGE_SIZE]);
        let (reader, writer) = pipe::new();
        let other = with_other_space(move |task| {
            put(task, MEMORY, &stream(0, LEN));
            BEFORE.store(free(), Relaxed);
            write(task, &writer, MEMORY, LEN)
        });
        wait_until_full(task);
        let full = free();
        assert_waits(task, &other);
        assert_eq!(full, free(), "a full pipe grows");
        // Of a page that is not empty, nothing is free: still no room.
        let mut bytes = receive(task, &reader, PAGE_SIZE - 1);
        assert_waits(task, &other);
        assert_eq!(full, free(), "a full pipe grows");
        bytes.extend(receive(task, &reader, PAGES * PAGE_SIZE));
        loop {
            let more = receive(task, &reader, 3 * PAGE_SIZE + 5);
            if more.is_empty() {
                break;
            }
            bytes.extend(more);
        }
        assert!(bytes == stream(0, LEN), "other bytes");
        assert_eq!(other.join(task), Ok(LEN));
    });
    // What is in a pipe when it is full.
    with_space(task, |task| {
        let (reader, writer) = pipe::new();
        send(task, &writer, &stream(0, PAGES * PAGE_SIZE));
        let other = with_other_space(move |task| write(task, &writer, MEMORY, 1));
        assert_waits(task, &other);
        drop(reader);
        assert_eq!(other.join(task), Err(Error::Broken));
    });
}

fn an_empty_pipe_blocks_and_goes_on(task: &mut Task<'_>) {
    with_space(task, |task| {
        let (reader, writer) = pipe::new();
        let turns = Arc::new(AtomicUsize::new(0));
        let turns_of_other = Arc::clone(&turns);
        let other = with_other_space(move |task| {
            let first = receive(task, &reader, 100);
            turns_of_other.store(1, Relaxed);
            let then = receive(task, &reader, 100);
            (first, then)
        });
        assert_waits(task, &other);
        assert_eq!(turns.load(Relaxed), 0);
        send(task, &writer, b"some");
        while turns.load(Relaxed) == 0 {
            thread::yield_now(task);
        }
        assert_waits(task, &other);
        send(task, &writer, b"more");
        assert_eq!(other.join(task), (b"some".to_vec(), b"more".to_vec()));
    });
}

// Ends

fn without_a_writer_the_pipe_ends(task: &mut Task<'_>) {
    with_space(task, |task| {
        let (reader, writer) = pipe::new();
        let another = writer.clone();
        send(task, &writer, b"the last");
        drop(writer);
        let other = with_other_space(move |task| {
            let bytes = receive(task, &reader, 100);
            (bytes, read(task, &reader, MEMORY, 100), read(task, &reader, MEMORY, 100))
        });
        assert_waits(task, &other);
        drop(another);
        assert_eq!(other.join(task), (b"the last".to_vec(), Ok(0), Ok(0)));
    });
}

fn without_a_reader_the_pipe_is_broken(task: &mut Task<'_>) {
    const LEN: usize = (PAGES + 4) * PAGE_SIZE;
    with_space(task, |task| {
        let (reader, writer) = pipe::new();
        let another = reader.clone();
        let other = with_other_space(move |task| {
            put(task, MEMORY, &stream(0, LEN));
            BEFORE.store(free(), Relaxed);
            let first = write(task, &writer, MEMORY, LEN);
            (first, write(task, &writer, MEMORY, 1), write(task, &writer, MEMORY, 0))
        });
        wait_until_full(task);
        drop(reader);
        assert_waits(task, &other);
        drop(another);
        assert_eq!(other.join(task), (Ok(PAGES * PAGE_SIZE), Err(Error::Broken), Ok(0)));
    });
}

// Addresses

fn a_write_counts_what_is_before_a_bad_address(task: &mut Task<'_>) {
    with_space(task, |task| {
        let (reader, writer) = pipe::new();
        let before = free();
        assert_eq!(write(task, &writer, END, 10), Err(Error::Fault));
        assert_eq!(write(task, &writer, 0, PAGE_SIZE), Err(Error::Fault));
        assert_eq!(before, free(), "a page with nothing in it");
        for len in [1, 127, 128, 129, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 3 * PAGE_SIZE + 5] {
            put(task, END - len, &stream(len, len));
            assert_eq!(write(task, &writer, END - len, len + 9), Ok(len));
            assert_eq!(receive(task, &reader, len + 9), stream(len, len));
            // Not for the second time.
            assert_eq!(write(task, &writer, END, 9), Err(Error::Fault));
        }
        // And behind something, in the same page.
        send(task, &writer, b"before");
        assert_eq!(write(task, &writer, END, 9), Err(Error::Fault));
        put(task, END - 6, b"behind");
        assert_eq!(write(task, &writer, END - 6, 9), Ok(6));
        assert_eq!(receive(task, &reader, 100), b"beforebehind");
    });
}

fn a_read_keeps_what_it_cannot_store(task: &mut Task<'_>) {
    with_space(task, |task| {
        let (reader, writer) = pipe::new();
        let len = 3 * PAGE_SIZE;
        let mut done = 0;
        send(task, &writer, &stream(0, len));
        for room in [0, 1, 128, 129, PAGE_SIZE - 1, PAGE_SIZE + 3] {
            let stored = read(task, &reader, END - room, len);
            assert_eq!(stored, if room == 0 { Err(Error::Fault) } else { Ok(room) });
            assert_eq!(get(task, END - room, room), stream(done, room));
            done += room;
        }
        assert_eq!(read(task, &reader, 0, 1), Err(Error::Fault));
        assert_eq!(receive(task, &reader, len), stream(done, len - done));
    });
}

fn pages_that_are_not_there_are_brought_in(task: &mut Task<'_>) {
    const COUNT: usize = 8;
    with_space(task, |task| {
        let (reader, writer) = pipe::new();
        let (before, far) = (copy::stats(), MEMORY + MEMORY_SIZE / 2);
        assert_eq!(write(task, &writer, MEMORY + 1, COUNT * PAGE_SIZE), Ok(COUNT * PAGE_SIZE));
        let between = copy::stats();
        assert_eq!(between.brought_in - before.brought_in, COUNT as u64 + 1);
        assert!(between.cut_short > before.cut_short, "{before:?}, {between:?}");
        assert_eq!(read(task, &reader, far + 1, COUNT * PAGE_SIZE), Ok(COUNT * PAGE_SIZE));
        let after = copy::stats();
        assert_eq!(after.brought_in - between.brought_in, COUNT as u64 + 1);
        assert!(after.cut_short > between.cut_short, "{between:?}, {after:?}");

        // Once more, where all is there.
        assert_eq!(write(task, &writer, MEMORY + 1, COUNT * PAGE_SIZE), Ok(COUNT * PAGE_SIZE));
        assert_eq!(read(task, &reader, far + 1, COUNT * PAGE_SIZE), Ok(COUNT * PAGE_SIZE));
        let end = copy::stats();
        assert_eq!((end.cut_short, end.brought_in), (after.cut_short, after.brought_in));
        assert_eq!(end.whole - after.whole, 2 * COUNT as u64, "a copy for each page, in and out");
        assert!(get(task, far + 1, COUNT * PAGE_SIZE).iter().all(|&byte| byte == 0));
    });
}

// Several threads

fn writes_do_not_mix(task: &mut Task<'_>) {
    const WRITERS: usize = 3;
    const TIMES: usize = 12;
    const LEN: usize = 5 * PAGE_SIZE + 11;
    with_space(task, |task| {
        let (reader, writer) = pipe::new();
        let others: [_; WRITERS] = core::array::from_fn(|number| {
            let writer = writer.clone();
            with_other_space(move |task| {
                put(task, MEMORY, &alloc::vec![number as u8; LEN]);
                (0..TIMES).all(|_| write(task, &writer, MEMORY, LEN) == Ok(LEN))
            })
        });
        drop(writer);
        let (mut n, mut whose) = (0, 0);
        loop {
            let bytes = receive(task, &reader, 2 * PAGE_SIZE + 1);
            if bytes.is_empty() {
                break;
            }
            for byte in bytes {
                whose = if n % LEN == 0 { byte } else { whose };
                assert_eq!(byte, whose, "byte {n}: writes are mixed");
                n += 1;
            }
        }
        assert_eq!(n, WRITERS * TIMES * LEN);
        assert!(others.into_iter().all(|other| other.join(task)));
    });
}

fn both_ends_copy_at_the_same_time(task: &mut Task<'_>) {
    const LEN: usize = 2 << 20;
    with_space(task, |task| {
        let (reader, writer) = pipe::new();
        let other = with_other_space(move |task| {
            let (mut n, mut turn) = (0, 0);
            while n < LEN {
                turn += 1;
                let len = (turn * 1_237 % (6 * PAGE_SIZE) + 1).min(LEN - n);
                let at = MEMORY + turn * 4_099 % (MEMORY_SIZE / 2);
                put(task, at, &stream(n, len));
                assert_eq!(write(task, &writer, at, len), Ok(len));
                n += len;
            }
        });
        let (mut n, mut turn) = (0, 0);
        loop {
            turn += 1;
            let at = MEMORY + turn * 8_209 % (MEMORY_SIZE / 2);
            let len = read(task, &reader, at, turn * 911 % (9 * PAGE_SIZE) + 1).expect("memory is there");
            if len == 0 {
                break;
            }
            assert!(get(task, at, len) == stream(n, len), "bytes {n} to {}", n + len);
            n += len;
        }
        assert_eq!(n, LEN);
        other.join(task);
    });
}

fn a_pipe_has_16_pages_at_most(task: &mut Task<'_>) {
    const TIMES: usize = 1_000;
    const LEN: usize = 3 * PAGE_SIZE;
    with_space(task, |task| {
        let (reader, writer) = pipe::new();
        // From now on, only the pipe takes frames.
        put(task, MEMORY, &stream(0, LEN));
        let other = with_other_space(move |task| {
            put(task, MEMORY, &stream(0, LEN));
            let before = free();
            for _ in 0..TIMES {
                assert_eq!(write(task, &writer, MEMORY, LEN), Ok(LEN));
                // One of them may be with the reader.
                let pages = before - free();
                assert!(pages <= PAGES, "{pages} pages");
            }
        });
        let mut n = 0;
        loop {
            match read(task, &reader, MEMORY, PAGE_SIZE + 1).expect("memory is there") {
                0 => break,
                len => n += len,
            }
        }
        assert_eq!(n, TIMES * LEN);
        other.join(task);
    });
}

// System calls

global_asm!(
    ".pushsection .user, \"a\"",
    // Makes the system calls of the list at ebx: number, three arguments, result. Ends with 0, or with how many calls were as they should be,
    // plus 1, after a report of the result that came instead.
    ".globl script",
    "script:",
    "mov esi, ebx",
    "xor edi, edi",
    "2: mov eax, [esi]",
    "cmp eax, -1",
    "je 3f",
    "mov ebx, [esi + 4]",
    "mov ecx, [esi + 8]",
    "mov edx, [esi + 12]",
    "int 0x80",
    "inc edi",
    "cmp eax, [esi + 16]",
    "jne 4f",
    "add esi, 20",
    "jmp 2b",
    "3: xor ebx, ebx",
    "mov eax, {exit}",
    "int 0x80",
    "4: mov ebx, edi",
    "mov ecx, eax",
    "mov eax, {report}",
    "int 0x80",
    "mov ebx, edi",
    "mov eax, {exit}",
    "int 0x80",
    ".globl wrong_calls",
    "wrong_calls:",
    ".irp end, 0, 1, 7, 8, -1",
    ".long {read}, \\end, {memory}, 1, {no_end}",
    ".long {write}, \\end, {memory}, 1, {no_end}",
    ".long {close}, \\end, 0, 0, {no_end}",
    ".endr",
    ".long {pipe}, 0, 0, 0, {fault}",
    ".long {pipe}, {user_end} - 4, 0, 0, {fault}",
    ".long {pipe}, {memory_end} - 4, 0, 0, {fault}",
    ".rept {max} / 2", // and no end is lost
    ".long {pipe}, {memory}, 0, 0, 0",
    ".endr",
    ".long {pipe}, {memory}, 0, 0, {too_many}",
    ".long {close}, 3, 0, 0, 0",
    ".long {close}, 3, 0, 0, {no_end}",
    ".long {pipe}, {memory}, 0, 0, {too_many}", // with room for one
    ".long {write}, 3, {memory}, 1, {no_end}",
    ".long {read}, 2, {memory}, 1, 0",
    ".long {write}, 2, {memory}, 1, {no_end}", // the wrong end
    ".long {read}, 1, {memory}, 1, {no_end}",
    ".long {write}, 1, {user_end} - 4, 5, {fault}",
    ".long {write}, 1, {memory_end} - 4, 5, 4",
    ".long {read}, 0, 0, 5, {fault}",
    ".long {read}, 0, {memory}, 5, 4",
    ".long {read}, 0, {memory}, 0, 0",
    ".long {close}, 0, 0, 0, 0",
    ".long {write}, 1, {memory}, 5, {broken}",
    ".long {write}, 1, {memory}, 0, 0",
    ".long -1",
    // Gives a child both ends. The child writes from a page that both have, and dies; this process reads into the same page, and ends with what
    // it has: 0 if it was all, and then the end of the pipe.
    ".globl heir",
    "heir:",
    "mov ebp, {memory} + 64",
    "mov dword ptr [ebp], 0x64636261",
    "mov dword ptr [ebp + 4], 0",
    "mov eax, {pipe}",
    "mov ebx, {memory}",
    "int 0x80",
    "mov eax, {fork}",
    "int 0x80",
    "test eax, eax",
    "jz 3f",
    "mov eax, {close}",
    "mov ebx, [ebp - 60]",
    "int 0x80",
    "lea ecx, [ebp + 4]",
    "mov edx, 4",
    "2: mov eax, {read}",
    "mov ebx, [ebp - 64]",
    "int 0x80",
    "test eax, eax",
    "mov ebx, 1",
    "js 4f",
    "jz 5f",
    "add ecx, eax",
    "sub edx, eax",
    "jnz 2b",
    "mov edx, 1",
    "jmp 2b",
    "5: mov ebx, [ebp + 4]",
    "sub ebx, 0x64636261",
    "4: mov eax, {exit}",
    "int 0x80",
    "3: mov eax, {write}",
    "mov ebx, [ebp - 60]",
    "mov ecx, ebp",
    "mov edx, 4",
    "int 0x80",
    "ud2",
    ".popsection",
    memory = const MEMORY,
    memory_end = const END,
    user_end = const if USER_END > u32::MAX as usize { 0xffff_f000_usize } else { USER_END },
    max = const MAX_ENDS,
    exit = const call::EXIT,
    fork = const call::FORK,
    report = const call::REPORT,
    pipe = const call::PIPE,
    read = const call::READ,
    write = const call::WRITE,
    close = const call::CLOSE,
    fault = const CallError::Fault as i32,
    no_end = const CallError::NoEnd as i32,
    too_many = const CallError::TooManyEnds as i32,
    broken = const CallError::BrokenPipe as i32,
);

unsafe extern "C" {
    #[link_name = "script"]
    static SCRIPT: c_void;
    #[link_name = "wrong_calls"]
    static WRONG_CALLS: c_void;
    #[link_name = "heir"]
    static HEIR: c_void;
}

fn run(task: &mut Task<'_>, program: Program, argument: usize) -> Exit {
    let free = || Zone::ALL.map(|zone| frames::stats(zone).free);
    let before = free();
    let exit = process::spawn(task, program, [argument, 0, 0]).expect("there is memory").wait(task);
    assert_eq!(free(), before, "frames that were not given back, by zone");
    exit
}

fn system_calls_refuse_what_is_wrong(task: &mut Task<'_>) {
    let list = Program::at(&raw const WRONG_CALLS).entry();
    let exit = run(task, Program::at(&raw const SCRIPT), list);
    assert_eq!(exit, Exit::Code(0), "{:?}", call::take_reports());
}

fn a_child_has_the_ends_and_closes_them_when_it_dies(task: &mut Task<'_>) {
    for _ in 0..5 {
        assert_eq!(run(task, Program::at(&raw const HEIR), 0), Exit::Code(0));
    }
}
