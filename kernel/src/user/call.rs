//! System calls: `int 0x80`, with the number in `eax`, and arguments in `ebx`, `ecx` and `edx`. The result comes back in `eax`: what was
//! asked for, or an error below 0. All other registers stay.
//!
//! Each is a function in the table, which gets the thread's task and the process. Whatever a program passes, the answer is a number.

use alloc::string::String;
use alloc::vec::Vec;

use highmem::{copy_from_user, put_user};

use crate::kmap::{Task, UserSlice};
use crate::sync::IrqLock;
use crate::user::ends::End;
use crate::user::pipe;
use crate::user::process::{Exit, NoProcess, Process};
use crate::{print, thread};

/// `exit(code)`: ends the process.
pub const EXIT: usize = 0;
/// `fork()`: gives the number of the new process, and 0 in that.
pub const FORK: usize = 1;
/// `wait(process, code)`: waits until a child has ended, or the oldest if `process` is 0, and gives its number. Stores its exit code at
/// `code`, or -1 if it did not exit by itself; nothing if `code` is 0.
pub const WAIT: usize = 2;
/// `yield()`: lets others run.
pub const YIELD: usize = 3;
/// `process()`: gives the process's own number.
pub const PROCESS: usize = 4;
/// `print(from, length)`: writes text to the console, and gives how many bytes that were.
pub const PRINT: usize = 5;
/// `report(one, other)`: tells the kernel's program two numbers: see [`take_reports`].
pub const REPORT: usize = 6;
/// `pipe(ends)`: makes a pipe, and stores the number of the end to read from at `ends`, and behind it that of the one to write to.
pub const PIPE: usize = 7;
/// `read(end, to, length)`: reads what is in a pipe, at most `length` bytes, and gives how many. Waits if it is empty; gives 0 at its end.
pub const READ: usize = 8;
/// `write(end, from, length)`: writes to a pipe, and gives how many bytes that were. Waits while it is full.
pub const WRITE: usize = 9;
/// `close(end)`: gives an end of a pipe up.
pub const CLOSE: usize = 10;

/// All of them, by number.
const CALLS: [Call; 11] = [exit, fork, wait, yield_now, process, print, report, make_pipe, read, write, close];

type Call = fn(&mut Task<'_>, &mut Process<'_>, [usize; 3]) -> Result<usize, Error>;

/// Why there is no result. The numbers are Linux's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum Error {
    /// The process has no such end of a pipe.
    NoEnd = -9,
    /// There is no such child.
    NoChild = -10,
    /// There are as many as there can be: processes, or reports that nobody has taken.
    TooMany = -11,
    /// There is no memory for it.
    OutOfMemory = -12,
    /// The process has nothing at that address, or may not write there.
    Fault = -14,
    /// The process has as many ends of pipes as it can have.
    TooManyEnds = -24,
    /// Nobody can read from the pipe.
    BrokenPipe = -32,
    /// There is no such system call.
    NoCall = -38,
}

impl From<highmem::user::Error> for Error {
    fn from(_: highmem::user::Error) -> Self {
        Self::Fault
    }
}

impl From<pipe::Error> for Error {
    fn from(why: pipe::Error) -> Self {
        match why {
            pipe::Error::Broken => Self::BrokenPipe,
            pipe::Error::Fault => Self::Fault,
            pipe::Error::OutOfMemory => Self::OutOfMemory,
        }
    }
}

impl From<NoProcess> for Error {
    fn from(why: NoProcess) -> Self {
        match why {
            NoProcess::TooMany => Self::TooMany,
            NoProcess::OutOfMemory => Self::OutOfMemory,
        }
    }
}

/// What a process has told the kernel's program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Which process.
    pub process: u32,
    /// What.
    pub numbers: [usize; 2],
}

static REPORTS: IrqLock<Vec<Report>> = IrqLock::new(Vec::new());

/// Takes what processes have reported so far, in order.
pub fn take_reports() -> Vec<Report> {
    REPORTS.with(core::mem::take)
}

/// Does what the registers of the process ask for.
pub(super) fn serve(task: &mut Task<'_>, process: &mut Process<'_>) {
    let arguments = process.frame.arguments();
    let result = match CALLS.get(process.frame.call()) {
        Some(call) => call(task, process, arguments),
        None => Err(Error::NoCall),
    };
    process.frame.set_result(result.map_or_else(|error| error as isize, |value| value as isize));
}

fn exit(_: &mut Task<'_>, process: &mut Process<'_>, [code, ..]: [usize; 3]) -> Result<usize, Error> {
    process.exit = Some(Exit::Code(code as i32));
    Ok(0)
}

fn fork(task: &mut Task<'_>, process: &mut Process<'_>, _: [usize; 3]) -> Result<usize, Error> {
    Ok(process.fork(task)? as usize)
}

fn wait(task: &mut Task<'_>, process: &mut Process<'_>, [id, code, _]: [usize; 3]) -> Result<usize, Error> {
    let meant = process.children.iter().position(|child| id == 0 || child.id() as usize == id);
    let child = process.children.remove(meant.ok_or(Error::NoChild)?);
    let id = child.id();
    let exit = match child.wait(task) {
        Exit::Code(code) => code,
        _ => -1,
    };
    if code != 0 {
        put_user(task, &mut UserSlice::new(code, size_of::<i32>())?.writer(), &exit)?;
    }
    Ok(id as usize)
}

fn yield_now(task: &mut Task<'_>, _: &mut Process<'_>, _: [usize; 3]) -> Result<usize, Error> {
    thread::yield_now(task);
    Ok(0)
}

fn process(_: &mut Task<'_>, process: &mut Process<'_>, _: [usize; 3]) -> Result<usize, Error> {
    Ok(process.id as usize)
}

fn print(task: &mut Task<'_>, _: &mut Process<'_>, [from, length, _]: [usize; 3]) -> Result<usize, Error> {
    const MOST: usize = 256;
    let mut text = [0; MOST];
    let text = &mut text[..length.min(MOST)];
    let mut from = UserSlice::new(from, text.len())?.reader();
    copy_from_user(task, &mut *text, &mut from)?;
    print!("{}", String::from_utf8_lossy(text));
    Ok(text.len())
}

fn report(_: &mut Task<'_>, process: &mut Process<'_>, [one, other, _]: [usize; 3]) -> Result<usize, Error> {
    const MOST: usize = 4096;
    REPORTS.with(|reports| {
        if reports.len() == MOST {
            return Err(Error::TooMany);
        }
        reports.push(Report { process: process.id, numbers: [one, other] });
        Ok(0)
    })
}

fn make_pipe(task: &mut Task<'_>, process: &mut Process<'_>, [to, ..]: [usize; 3]) -> Result<usize, Error> {
    let (reader, writer) = pipe::new();
    let reader = process.ends.add(End::Reader(reader)).ok_or(Error::TooManyEnds)?;
    let result = match process.ends.add(End::Writer(writer)) {
        Some(writer) => {
            store_numbers(task, to, [reader as u32, writer as u32]).inspect_err(|_| drop(process.ends.remove(writer)))
        }
        None => Err(Error::TooManyEnds),
    };
    if result.is_err() {
        process.ends.remove(reader);
    }
    result
}

fn store_numbers(task: &mut Task<'_>, to: usize, numbers: [u32; 2]) -> Result<usize, Error> {
    put_user(task, &mut UserSlice::new(to, size_of_val(&numbers))?.writer(), &numbers)?;
    Ok(0)
}

fn read(task: &mut Task<'_>, process: &mut Process<'_>, [end, to, length]: [usize; 3]) -> Result<usize, Error> {
    let Some(End::Reader(reader)) = process.ends.get(end) else { return Err(Error::NoEnd) };
    Ok(reader.read(task, UserSlice::new(to, length)?.writer())?)
}

fn write(task: &mut Task<'_>, process: &mut Process<'_>, [end, from, length]: [usize; 3]) -> Result<usize, Error> {
    let Some(End::Writer(writer)) = process.ends.get(end) else { return Err(Error::NoEnd) };
    Ok(writer.write(task, UserSlice::new(from, length)?.reader())?)
}

fn close(_: &mut Task<'_>, process: &mut Process<'_>, [end, ..]: [usize; 3]) -> Result<usize, Error> {
    process.ends.remove(end).map(|_| 0).ok_or(Error::NoEnd)
}
