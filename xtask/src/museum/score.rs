//! How many cases of each class end how.

use super::case::Outcome;
use super::hall::Class;

/// The scoreboard: a row for each class, then the totals.
pub struct Table {
    pub rows: Vec<Row>,
    pub total: Row,
}

/// A row of it.
pub struct Row {
    /// In the order of [`Outcome::ALL`].
    pub counts: [usize; 6],
    pub all: usize,
    /// Mistakes of those who use a mapper.
    pub clients: usize,
}

impl Row {
    fn of(count: impl Fn(Outcome) -> usize) -> Self {
        let clients = Outcome::ALL.into_iter().filter(|outcome| outcome.is_clients()).map(&count).sum();
        let counts = Outcome::ALL.map(count);
        Self { counts, all: counts.iter().sum(), clients }
    }

    /// How many end so.
    pub fn count(&self, outcome: Outcome) -> usize {
        Outcome::ALL.iter().zip(self.counts).filter(|(of, _)| **of == outcome).map(|(_, count)| count).sum()
    }

    /// The share of clients' mistakes that do not compile, in per cent.
    pub fn share(&self) -> String {
        self.share_of(self.clients)
    }

    /// The share of those of clients' mistakes that are mistakes here, too, in per cent.
    fn share_of_mistakes(&self) -> String {
        self.share_of(self.mistakes())
    }

    /// How many of clients' mistakes are mistakes here, too.
    fn mistakes(&self) -> usize {
        self.clients - self.count(Outcome::Harmless)
    }

    fn share_of(&self, all: usize) -> String {
        match all {
            0 => String::new(),
            all => format!("{}\u{a0}%", (self.count(Outcome::Refused) * 100 + all / 2) / all),
        }
    }
}

/// Counts.
pub fn table(classes: &[Class]) -> Table {
    let rows: Vec<Row> = classes.iter().map(|class| Row::of(|outcome| class.count(outcome))).collect();
    let total = Row::of(|outcome| rows.iter().map(|row| row.count(outcome)).sum());
    Table { rows, total }
}

/// A number, or nothing for none.
pub fn cell(count: usize) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}

/// The totals in words.
pub fn sentence(classes: &[Class]) -> String {
    let total = table(classes).total;
    let count = |outcome: &Outcome| format!("{} {}", outcome.name(), total.count(*outcome));
    let counts = |clients| {
        let outcomes = Outcome::ALL.iter().filter(|outcome| outcome.is_clients() == clients);
        outcomes.map(count).collect::<Vec<_>>().join(", ")
    };
    format!(
        "Of {} real bugs, {} are mistakes of code that uses a mapper, and are written anew with this crate:\n{}. Of the {} that \
         are mistakes here, too, {} do not compile; of all {}, {}.\nThe other bugs: {}.",
        total.all,
        total.clients,
        counts(true),
        total.mistakes(),
        total.share_of_mistakes(),
        total.clients,
        total.share(),
        counts(false)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_clients_mistakes() {
        let row =
            |counts: [usize; 6]| Row::of(|outcome| counts[Outcome::ALL.iter().position(|o| *o == outcome).unwrap()]);
        let shares = [[2, 1, 0, 5, 0, 0], [1, 0, 1, 0, 9, 9], [0, 0, 0, 3, 1, 1], [3, 0, 0, 0, 1, 0]];
        assert_eq!(shares.map(|counts| row(counts).share()), ["67\u{a0}%", "50\u{a0}%", "", "100\u{a0}%"]);
        assert_eq!(
            [row([2, 1, 5, 5, 0, 0]).share_of_mistakes(), row([0, 0, 3, 0, 0, 0]).share_of_mistakes()],
            ["67\u{a0}%", ""]
        );
        let row = row([1, 2, 3, 4, 5, 6]);
        assert_eq!((row.all, row.clients), (21, 6));
        assert_eq!(row.count(Outcome::Harmless), 3);
    }
}
