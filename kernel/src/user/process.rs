//! The life of a process.
//!
//! In C, `exit` is called from wherever the process happens to be, and what functions further up the stack hold stays held. The rule: a
//! process ends where it began. The types say it: the process is a value in the closure of its thread, which goes round a loop
//! between ring 3 and the kernel; when that ends, the closure ends, and what the process had is dropped.

use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use x86::irq::EXCEPTIONS;

use crate::kmap::{MaySleep, Task};
use crate::paging::user::OutOfMemory;
use crate::println;
use crate::probe::PageFault;
use crate::thread::{self, JoinHandle};
use crate::trap::UserFrame;
use crate::user::ends::Ends;
use crate::user::layout::STACK_TOP;
use crate::user::space::{Refusal, Space};
use crate::user::{Current, Program, Trap, call};

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// By itself, with this number.
    Code(i32),
    /// By an access that it may not make.
    PageFault(PageFault),
    /// By another exception: its vector.
    Exception(u8),
    /// There was no frame for it.
    OutOfMemory,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::PageFault(fault) => write!(f, "#PF {fault}"),
            Self::Exception(vector) => {
                let name = &EXCEPTIONS[usize::from(*vector)];
                write!(f, "{} {}", name.mnemonic, name.description)
            }
            Self::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

/// A process does not start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoProcess {
    /// There are [`thread::MAX`] threads already.
    TooMany,
    /// There is no memory for it.
    OutOfMemory,
}

impl From<OutOfMemory> for NoProcess {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// A process that may be waited for. Dropped, it lets the process run on.
#[must_use = "nobody can wait for the process any more"]
pub struct Child {
    id: u32,
    thread: JoinHandle<Exit>,
}

impl Child {
    /// Its number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Sleeps until it has ended and given back its memory, and says how it ended.
    pub fn wait(self, task: &mut MaySleep<'_>) -> Exit {
        self.thread.join(task)
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// The number of the last process.
static LAST: AtomicU32 = AtomicU32::new(0);

/// Starts a process that runs `program`, with `arguments` in `ebx`, `ecx` and `edx`.
///
/// # Errors
///
/// If there are too many threads, or too few frames.
pub fn spawn(task: &mut Task<'_>, program: Program, arguments: [usize; 3]) -> Result<Child, NoProcess> {
    start(Space::new(task)?, UserFrame::new(program.entry(), STACK_TOP, arguments), Ends::default())
}

fn start(space: Space, frame: UserFrame, ends: Ends) -> Result<Child, NoProcess> {
    let id = LAST.fetch_add(1, Relaxed) + 1;
    let thread = thread::try_spawn("process", move |task| live(task, id, space, frame, ends));
    thread.map(|thread| Child { id, thread }).ok_or(NoProcess::TooMany)
}

/// From the first instruction to the last.
fn live(task: &mut Task<'_>, id: u32, space: Space, frame: UserFrame, ends: Ends) -> Exit {
    let exit = Current::with(task, space, |task, current| {
        let mut process = Process { id, current, frame, children: Vec::new(), ends, exit: None };
        loop {
            match current.run(task, &mut process.frame) {
                Trap::SystemCall => call::serve(task, &mut process),
                Trap::PageFault(fault) => match current.fault(task, fault) {
                    Ok(()) => {}
                    Err(Refusal::NotAllowed) => process.exit = Some(Exit::PageFault(fault)),
                    Err(Refusal::OutOfMemory) => process.exit = Some(Exit::OutOfMemory),
                },
                Trap::Exception(vector) => process.exit = Some(Exit::Exception(vector)),
            }
            if let Some(exit) = process.exit {
                return (exit, process.frame.trap().ip());
            }
        }
    });
    let (exit, ip) = exit;
    if !matches!(exit, Exit::Code(_)) {
        println!("process {id} ends at {ip:#x}: {exit}");
    }
    exit
}

/// A process, while it is in the kernel.
pub(crate) struct Process<'a> {
    /// Its number.
    pub id: u32,
    current: &'a Current,
    /// Its registers.
    pub frame: UserFrame,
    /// Those that it has not waited for.
    pub children: Vec<Child>,
    /// Those of pipes.
    pub ends: Ends,
    /// With what it ends, as soon as it ends.
    pub exit: Option<Exit>,
}

impl Process<'_> {
    /// Starts a process with the same memory, the same ends of pipes and the same registers, but for the result: it is given 0.
    pub fn fork(&mut self, task: &mut Task<'_>) -> Result<u32, NoProcess> {
        // One that never waits does not fill the heap with children that have ended.
        if self.children.len() == thread::MAX {
            return Err(NoProcess::TooMany);
        }
        let space = self.current.fork(task)?;
        let mut frame = self.frame;
        frame.set_result(0);
        let child = start(space, frame, self.ends.clone())?;
        let id = child.id;
        self.children.push(child);
        Ok(id)
    }
}
