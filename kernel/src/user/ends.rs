//! Which ends of pipes a process has, each by a number.
//!
//! In C, a table of open files and the counts in what it leads to are kept in step by hand: a count too few, and a file is freed that another
//! process still has. The rule: a number leads to something that the process has. The type says it: the table owns an end, a child has a
//! clone of it, and what ends the process drops its table.

use crate::user::pipe::{Reader, Writer};

/// How many ends a process can have.
pub const MAX: usize = 8;

/// The end of a pipe.
#[derive(Clone)]
pub(crate) enum End {
    /// To read from.
    Reader(Reader),
    /// To write to.
    Writer(Writer),
}

/// The ends of one process.
#[derive(Clone, Default)]
pub(crate) struct Ends([Option<End>; MAX]);

impl Ends {
    /// Adds an end, and gives the lowest number that is free; if none is, the end is dropped.
    pub fn add(&mut self, end: End) -> Option<usize> {
        let number = self.0.iter().position(Option::is_none)?;
        self.0[number] = Some(end);
        Some(number)
    }

    /// The one with this number.
    pub fn get(&self, number: usize) -> Option<&End> {
        self.0.get(number)?.as_ref()
    }

    /// Takes the one with this number away.
    pub fn remove(&mut self, number: usize) -> Option<End> {
        self.0.get_mut(number)?.take()
    }
}
