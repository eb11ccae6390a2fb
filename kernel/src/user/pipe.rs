//! A pipe: bytes go in at one end and come out at the other, by way of pages of high memory.
//!
//! In C, the copy between a page of a pipe and user memory was tried twice: atomically, and if that met a missing page, once more by a copy
//! that may sleep. What the first had copied was not counted, and so the second ran past the end of what it was given, into the kernel
//! (CVE-2015-1805). A page's flags said whether more may be appended, and a flag left over from another page let anybody write to files
//! (CVE-2022-0847).
//!
//! The rule: a copy goes on where the last one has stopped, whoever made that; and a page is in the pipe, or with the one that fills or
//! empties it, and never with both.
//!
//! The types say it: the cursors of [`highmem::user`] count what was copied, and nothing else does; a page is a [`Frame`], which one owner
//! has, and is moved out of the ring, copied, and put back. So the copies need no lock, and the ends of a pipe copy at the same time.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Release};

use highmem::{PAGE_SIZE, copy_page_from_user, copy_page_to_user, user};

use crate::frames::{self, Frame};
use crate::kmap::{MaySleep, UserReader, UserWriter};
use crate::sync::IrqLock;
use crate::wait::WaitQueue;

/// How many pages a pipe has when it is full. Linux: `PIPE_DEF_BUFFERS`.
pub const PAGES: usize = 16;

/// Why nothing was read, or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Nobody can read what would be written.
    Broken,
    /// The process has nothing at that address, or may not write there.
    Fault,
    /// There is no frame.
    OutOfMemory,
}

impl From<user::Error> for Error {
    fn from(_: user::Error) -> Self {
        Self::Fault
    }
}

/// A new pipe.
pub fn new() -> (Reader, Writer) {
    let ring = Ring { buffers: VecDeque::with_capacity(PAGES), is_one_out: false, readers: 1, writers: 1 };
    let pipe = Arc::new(Pipe {
        ring: IrqLock::new(ring),
        bytes: WaitQueue::new(),
        room: WaitQueue::new(),
        reading: Turn::new(),
        writing: Turn::new(),
    });
    (Reader(Arc::clone(&pipe)), Writer(pipe))
}

/// The end to read from. When the last one is dropped, nobody can write any more.
pub struct Reader(Arc<Pipe>);

/// The end to write to. When the last one is dropped, what is in the pipe can be read, and then its end is.
pub struct Writer(Arc<Pipe>);

impl Reader {
    /// Reads what is in the pipe, as far as there is room in user memory, and gives how many bytes that were. Waits if there is nothing;
    /// gives 0 if there never will be, or if there is no room.
    ///
    /// # Errors
    ///
    /// If not a single byte could be stored. What was not stored stays in the pipe.
    pub fn read(&self, task: &mut MaySleep<'_>, mut to: UserWriter) -> Result<usize, Error> {
        let len = to.len();
        let result = self.0.reading.take(task, |task| {
            while !to.is_empty() && self.0.empty(task, &mut to, len)? {}
            Ok(0)
        });
        if to.len() < len { Ok(len - to.len()) } else { result }
    }
}

impl Writer {
    /// Writes all there is in user memory, one piece behind the other, and gives how many bytes that were. Waits if the pipe is full.
    ///
    /// Gives fewer if there is a page that cannot be read, or no frame, or nobody who can read; but not fewer than one.
    ///
    /// # Errors
    ///
    /// If not a single byte could be written.
    pub fn write(&self, task: &mut MaySleep<'_>, mut from: UserReader) -> Result<usize, Error> {
        let len = from.len();
        let result = self.0.writing.take(task, |task| {
            while !from.is_empty() {
                self.0.fill(task, &mut from)?;
            }
            Ok(0)
        });
        if from.len() < len { Ok(len - from.len()) } else { result }
    }
}

struct Pipe {
    ring: IrqLock<Ring>,
    /// Who waits for bytes, and who for room: of each end the one whose turn it is.
    bytes: WaitQueue,
    room: WaitQueue,
    reading: Turn,
    writing: Turn,
}

impl Pipe {
    /// Moves the next bytes of user memory into a page: the last one, or a new one.
    fn fill(&self, task: &mut MaySleep<'_>, from: &mut UserReader) -> Result<(), Error> {
        let mut place = None;
        self.room.wait(task, || {
            place = self.ring.with(Ring::place);
            place.is_some()
        });
        let mut buffer = match place {
            Some(Place::Last(buffer)) => buffer,
            Some(Place::New) => Buffer::new()?,
            Some(Place::Nowhere) | None => return Err(Error::Broken),
        };
        let (start, before) = (buffer.filled.end, from.len());
        let at = start..PAGE_SIZE.min(start + before);
        let result = copy_page_from_user(task, |atomic| atomic.slots().user0, &mut buffer.page, at, from);
        buffer.filled.end += before - from.len();
        if !buffer.filled.is_empty() {
            self.ring.with(|ring| ring.buffers.push_back(buffer));
            self.bytes.wake_one();
        }
        Ok(result?)
    }

    /// Moves bytes of the first page to user memory. If there is none: waits if nothing of `len` bytes was read yet, and somebody may write;
    /// otherwise says no.
    fn empty(&self, task: &mut MaySleep<'_>, to: &mut UserWriter, len: usize) -> Result<bool, Error> {
        let mut first = None;
        let may_wait = to.len() == len;
        self.bytes.wait(task, || {
            self.ring.with(|ring| {
                first = ring.take_out();
                first.is_some() || !may_wait || ring.writers == 0
            })
        });
        let Some(mut buffer) = first else { return Ok(false) };
        let (start, before) = (buffer.filled.start, to.len());
        let at = start..buffer.filled.end.min(start + before);
        let result = copy_page_to_user(task, to, |atomic| atomic.slots().user0, &buffer.page, at);
        buffer.filled.start += before - to.len();
        if buffer.filled.is_empty() {
            // Before there is room for another.
            drop(buffer);
            self.ring.with(|ring| ring.put_back(None));
            self.room.wake_one();
        } else {
            self.ring.with(|ring| ring.put_back(Some(buffer)));
        }
        result?;
        Ok(true)
    }
}

/// A page, and which of its bytes were written and not yet read.
struct Buffer {
    page: Frame,
    filled: Range<usize>,
}

impl Buffer {
    fn new() -> Result<Self, Error> {
        Ok(Self { page: frames::alloc_highmem().ok_or(Error::OutOfMemory)?, filled: 0..0 })
    }
}

struct Ring {
    /// Each has something in it.
    buffers: VecDeque<Buffer>,
    /// Whether somebody is reading from the page that was the first.
    is_one_out: bool,
    /// How many ends there are.
    readers: usize,
    writers: usize,
}

/// Where the next bytes go.
enum Place {
    /// To the end of the last page, which is taken out for that.
    Last(Buffer),
    /// To a new page.
    New,
    /// Nobody can read them.
    Nowhere,
}

impl Ring {
    /// `None` if the pipe is full.
    fn place(&mut self) -> Option<Place> {
        if self.readers == 0 {
            return Some(Place::Nowhere);
        }
        if self.buffers.back().is_some_and(|last| last.filled.end < PAGE_SIZE) {
            return self.buffers.pop_back().map(Place::Last);
        }
        let pages = self.buffers.len() + usize::from(self.is_one_out);
        (pages < PAGES).then_some(Place::New)
    }

    /// Takes the first page out, to be read from.
    fn take_out(&mut self) -> Option<Buffer> {
        let first = self.buffers.pop_front();
        self.is_one_out = first.is_some();
        first
    }

    /// Puts it back, unless there was nothing left in it.
    fn put_back(&mut self, buffer: Option<Buffer>) {
        self.is_one_out = false;
        if let Some(buffer) = buffer {
            self.buffers.push_front(buffer);
        }
    }
}

impl Clone for Reader {
    fn clone(&self) -> Self {
        self.0.ring.with(|ring| ring.readers += 1);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.ring.with(|ring| ring.readers -= 1);
        self.0.room.wake_one();
    }
}

impl Clone for Writer {
    fn clone(&self) -> Self {
        self.0.ring.with(|ring| ring.writers += 1);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.ring.with(|ring| ring.writers -= 1);
        self.0.bytes.wake_one();
    }
}

/// One thread after the other: whoever has the turn may sleep.
struct Turn {
    is_taken: AtomicBool,
    queue: WaitQueue,
}

impl Turn {
    const fn new() -> Self {
        Self { is_taken: AtomicBool::new(false), queue: WaitQueue::new() }
    }

    fn take<R>(&self, task: &mut MaySleep<'_>, f: impl FnOnce(&mut MaySleep<'_>) -> R) -> R {
        self.queue.wait(task, || !self.is_taken.swap(true, Acquire));
        let result = f(task);
        self.is_taken.store(false, Release);
        self.queue.wake_one();
        result
    }
}
