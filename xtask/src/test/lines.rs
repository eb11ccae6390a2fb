//! The lines that programs report in.
//!
//! Cargo's test harness, trybuild and our guests all write `test NAME ... ok` or something worse;
//! our benchmarks write `budget NAME measured M limit L`.

/// What a test line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Passed,
    /// Not as it should be.
    Failed,
    /// Not run.
    Ignored,
}

/// The name and the verdict in a test line.
pub fn test_line(line: &str) -> Option<(&str, Verdict)> {
    let (name, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let word = verdict.split([' ', ',']).next()?;
    let verdict = match word {
        "ok" => Verdict::Passed,
        "FAILED" | "mismatch" | "error" | "wip" => Verdict::Failed,
        "ignored" => Verdict::Ignored,
        _ => return None,
    };
    Some((name, verdict))
}

/// A measured cost and its limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// What was measured.
    pub name: String,
    /// How much it was.
    pub measured: f64,
    /// How much it may be.
    pub limit: f64,
}

impl Budget {
    /// The budget in a line, if there is one.
    pub fn parse(line: &str) -> Option<Self> {
        let (name, numbers) = line.strip_prefix("budget ")?.rsplit_once(" measured ")?;
        let (measured, limit) = numbers.split_once(" limit ")?;
        Some(Self { name: name.to_owned(), measured: measured.trim().parse().ok()?, limit: limit.trim().parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_guests_of_cargo_and_of_trybuild() {
        assert_eq!(test_line("test atomic::copy ... ok"), Some(("atomic::copy", Verdict::Passed)));
        assert_eq!(test_line("test atomic::copy ... FAILED"), Some(("atomic::copy", Verdict::Failed)));
        assert_eq!(test_line("test slow ... ignored, takes an hour"), Some(("slow", Verdict::Ignored)));
        let doc = "test src/slot.rs - slot::Slot (line 12) - compile fail ... ok";
        assert_eq!(test_line(doc), Some(("src/slot.rs - slot::Slot (line 12) - compile fail", Verdict::Passed)));
        assert_eq!(test_line("test ui-tests/copy.rs ... mismatch"), Some(("ui-tests/copy.rs", Verdict::Failed)));
        for other in [
            "",
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed",
            "test a ...",
            "tests a ... ok",
            "test a ... maybe",
        ] {
            assert_eq!(test_line(other), None, "{other}");
        }
    }

    #[test]
    fn budgets() {
        let budget = Budget { name: "atomic pair".to_owned(), measured: 13.0, limit: 14.5 };
        assert_eq!(Budget::parse("budget atomic pair measured 13 limit 14.5"), Some(budget));
        for other in
            ["", "budget pair", "budget pair measured x limit 3", "budget pair measured 3", "pair measured 3 limit 4"]
        {
            assert_eq!(Budget::parse(other), None, "{other}");
        }
    }
}
