//! What a random program is: a tree, in which each scope of a context has its steps.
//!
//! A step that makes no sense where it stands (a slot that is mapped already, a page that is in use) does nothing: what the types would
//! refuse is not tried. So each part of a program can be left out, and what is left is a program, too: that is how failures shrink.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;

/// How many CPUs run programs.
pub const CPUS: usize = 2;
/// How many pages there are.
pub const PAGES: usize = 6;

/// A program: tasks, one after the other.
#[derive(Clone)]
pub struct Program(pub Vec<Task>);

/// What one task does, and on which CPU.
#[derive(Clone)]
pub struct Task {
    pub cpu: usize,
    pub steps: Vec<Step>,
}

/// A step. `slot` is one of the two that the context has, `page` one of the pages.
#[derive(Clone)]
pub enum Step {
    /// Maps a page in a slot, and keeps the guard.
    Map { slot: usize, page: usize, by: By },
    /// Writes a byte through the guard.
    Write { slot: usize, at: usize, byte: u8 },
    /// Compares all bytes.
    Read { slot: usize },
    /// Ends a mapping.
    End { slot: usize, end: End },
    /// Maps `&mut page`, fills it, and drops the guard.
    Fill { slot: usize, page: usize, byte: u8 },
    /// Maps `&page`, and forgets the guard; the slot is there again at once.
    Forget { slot: usize, page: usize },
    /// Copies one page to another through the two slots.
    Copy { from: usize, to: usize },
    /// A device writes to a page, if it is shared.
    Poke { page: usize, at: usize, byte: u8 },
    /// Lends the slots that are free to a block; what it leaves is dropped at its end.
    Block(Vec<Step>),
    /// Goes on to a deeper context. At its end, what is still mapped is dropped, and then the context, or it is forgotten.
    Enter { context: Context, steps: Vec<Step>, is_forgotten: bool },
    /// A handler is served here, if it can be.
    Serve(Handler),
    /// The steps are interrupted, before what is the step `at` for the processor.
    Interrupted { by: Handler, at: usize, steps: Vec<Step> },
}

/// By what a page is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    Shared,
    Exclusive,
    Owned,
}

/// How a guard ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Drop,
    Unmap,
    Forget,
}

/// What a task, or a softirq, goes on to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Context {
    Atomic,
    BhOff,
    IrqsOff,
}

/// What interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Hard,
    Soft,
    NonMaskable,
}

/// A handler, with one that is served while it has interrupts on, if it is a hard one and does that.
#[derive(Clone)]
pub struct Handler {
    pub kind: Kind,
    pub steps: Vec<Step>,
    pub meanwhile: Option<Box<Handler>>,
}

/// All programs.
pub fn programs() -> impl Strategy<Value = Program> {
    let task = (0..CPUS, vec(in_task(), 1..5)).prop_map(|(cpu, steps)| Task { cpu, steps });
    vec(task, 1..4).prop_map(Program)
}

/// A task has no slots: its steps are contexts and interrupts.
fn in_task() -> impl Strategy<Value = Step> {
    let atomic = || {
        (steps(), rarely()).prop_map(|(steps, is_forgotten)| Step::Enter {
            context: Context::Atomic,
            steps,
            is_forgotten,
        })
    };
    prop_oneof![
        6 => atomic(),
        3 => (handler(steps().boxed()), 0..60_usize, vec(atomic(), 1..3))
            .prop_map(|(by, at, steps)| Step::Interrupted { by, at, steps }),
        1 => handler(steps().boxed()).prop_map(Step::Serve),
    ]
}

fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.1)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..8)
}

fn step() -> impl Strategy<Value = Step> {
    leaf().prop_recursive(3, 24, 6, |inner| {
        let steps = || vec(inner.clone(), 1..6);
        let context = prop_oneof![Just(Context::BhOff), Just(Context::IrqsOff)];
        prop_oneof![
            8 => inner.clone(),
            3 => steps().prop_map(Step::Block),
            3 => (context, steps(), rarely())
                .prop_map(|(context, steps, is_forgotten)| Step::Enter { context, steps, is_forgotten }),
            2 => handler(steps().boxed()).prop_map(Step::Serve),
            3 => (handler(steps().boxed()), 0..30_usize, steps())
                .prop_map(|(by, at, steps)| Step::Interrupted { by, at, steps }),
        ]
    })
}

fn leaf() -> impl Strategy<Value = Step> {
    let slot = || 0..2_usize;
    let page = || 0..PAGES;
    let at = || prop_oneof![Just(0_usize), Just(4095), 0..4096_usize];
    let by = prop_oneof![Just(By::Shared), Just(By::Exclusive), Just(By::Owned)];
    let end = prop_oneof![3 => Just(End::Drop), 3 => Just(End::Unmap), 1 => Just(End::Forget)];
    prop_oneof![
        8 => (slot(), page(), by).prop_map(|(slot, page, by)| Step::Map { slot, page, by }),
        4 => (slot(), at(), 1..=9_u8).prop_map(|(slot, at, byte)| Step::Write { slot, at, byte }),
        3 => slot().prop_map(|slot| Step::Read { slot }),
        6 => (slot(), end).prop_map(|(slot, end)| Step::End { slot, end }),
        3 => (slot(), page(), 1..=9_u8).prop_map(|(slot, page, byte)| Step::Fill { slot, page, byte }),
        1 => (slot(), page()).prop_map(|(slot, page)| Step::Forget { slot, page }),
        2 => (page(), page()).prop_map(|(from, to)| Step::Copy { from, to }),
        1 => (page(), at(), 1..=9_u8).prop_map(|(page, at, byte)| Step::Poke { page, at, byte }),
    ]
}

fn handler(steps: BoxedStrategy<Vec<Step>>) -> impl Strategy<Value = Handler> {
    let kind = prop_oneof![Just(Kind::Hard), Just(Kind::Soft), Just(Kind::NonMaskable)];
    let inner = (kind.clone(), steps.clone()).prop_map(|(kind, steps)| Handler { kind, steps, meanwhile: None });
    (kind, steps, prop::option::weighted(0.2, inner)).prop_map(|(kind, steps, inner)| {
        let meanwhile = inner.filter(|_| kind == Kind::Hard).map(Box::new);
        Handler { kind, steps, meanwhile }
    })
}

/// The name of a page.
pub fn page_name(page: usize) -> &'static str {
    ["high0", "high1", "high2", "low", "shared_high", "shared_low"][page]
}

// A program is shown as one.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|task| write!(f, "\n{task:?}"))
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "on CPU {}, task ", self.cpu)?;
        block(f, &self.steps, 0)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self, 0)
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        serve(f, self, 0)
    }
}

fn block(f: &mut fmt::Formatter<'_>, steps: &[Step], depth: usize) -> fmt::Result {
    writeln!(f, "{{")?;
    for step in steps {
        write!(f, "{:1$}", "", 4 * (depth + 1))?;
        show(f, step, depth + 1)?;
    }
    writeln!(f, "{:1$}}}", "", 4 * depth)
}

fn show(f: &mut fmt::Formatter<'_>, step: &Step, depth: usize) -> fmt::Result {
    match step {
        Step::Map { slot, page, by } => {
            let by = match by {
                By::Shared => "lock.read ",
                By::Exclusive => "lock.write ",
                By::Owned => "",
            };
            writeln!(f, "m{slot} = kmap_atomic(slot{slot}, {by}{});", page_name(*page))
        }
        Step::Write { slot, at, byte } => writeln!(f, "m{slot}[{at}] = {byte};"),
        Step::Read { slot } => writeln!(f, "compare(m{slot});"),
        Step::End { slot, end: End::Drop } => writeln!(f, "drop(m{slot});"),
        Step::End { slot, end: End::Unmap } => writeln!(f, "slot{slot} = kunmap_atomic(m{slot});"),
        Step::End { slot, end: End::Forget } => writeln!(f, "forget(m{slot});"),
        Step::Fill { slot, page, byte } => {
            writeln!(f, "kmap_atomic(slot{slot}, &mut {}).fill({byte});", page_name(*page))
        }
        Step::Forget { slot, page } => writeln!(f, "forget(kmap_atomic(slot{slot}, &{}));", page_name(*page)),
        Step::Copy { from, to } => writeln!(
            f,
            "kmap_atomic(slot1, &mut {}).copy_from_slice(kmap_atomic(slot0, &{}));",
            page_name(*to),
            page_name(*from)
        ),
        Step::Poke { page, at, byte } => writeln!(f, "a device writes {}[{at}] = {byte};", page_name(*page)),
        Step::Block(steps) => block(f, steps, depth),
        Step::Enter { context, steps, is_forgotten } => {
            write!(f, "{}{context:?} ", if *is_forgotten { "forgotten " } else { "" })?;
            block(f, steps, depth)
        }
        Step::Serve(handler) => serve(f, handler, depth),
        Step::Interrupted { by, at, steps } => {
            write!(f, "before step {at} of what follows: ")?;
            serve(f, by, depth)?;
            write!(f, "{:1$}what follows ", "", 4 * depth)?;
            block(f, steps, depth)
        }
    }
}

fn serve(f: &mut fmt::Formatter<'_>, Handler { kind, steps, meanwhile }: &Handler, depth: usize) -> fmt::Result {
    write!(f, "{kind:?} interrupt ")?;
    block(f, steps, depth)?;
    meanwhile.as_ref().map_or(Ok(()), |handler| {
        write!(f, "{:1$}and then, with interrupts on: ", "", 4 * depth)?;
        serve(f, handler, depth)
    })
}
