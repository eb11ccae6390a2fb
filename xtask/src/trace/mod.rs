//! `cargo xtask trace`: who maps what, when, and for how long, in a program on the bare machine.
//!
//! The events come from the crate itself, by `Kernel::trace`, which any kernel can implement. The emulator could tell of them, too (a plugin,
//! or a breakpoint at each store), but knows neither slots nor callers, and is ten times slower. Nor is there a feature of the crate: what
//! a kernel does not ask for costs nothing, and one that asks does not change what other kernels in the same build are made of.
//!
//! The kernel is built with its feature `trace`. It writes events down in memory, with the time-stamp counter, and hands them over at the end
//! through QEMU's debug console: [`decode`] reads them. [`story`] makes time lines of them, and says what cannot be: a slot that is mapped twice, a
//! mapping that ends and had not begun, handlers that do not nest. With such a finding the command fails. [`text`], [`draw`] and [`html`]
//! show it.
//!
//! The counter is held against the machine's timer at boot. With `--icount` it counts instructions, and two runs are the same; without,
//! a microsecond is one of the host's, and QEMU's emulation is what takes it: what the picture shows is an order, and not what a processor
//! would need.

mod decode;
mod draw;
mod html;
mod story;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::arch::{Arch, Window};
use crate::bare::{Build, Builder};
use crate::qemu::{self, Machine, Outcome};
use crate::say;
use crate::setup::{self, Choice, Need};
use crate::workspace::{Program, Workspace};
use story::{Row, Span, Story};

/// The feature of package `kernel` that has it write events down.
const FEATURE: &str = "trace";

/// As many bars as a page shows if nobody says what it is to show.
const BARS: usize = 150;

/// How many characters a time line has on the terminal.
const WIDTH: usize = 100;

/// What to trace, and what to show of it.
pub struct Wanted {
    pub name: String,
    pub arch: Arch,
    pub window: Window,
    pub machine: Machine,
    /// Nanoseconds.
    pub from: Option<u64>,
    pub length: Option<u64>,
    pub lines: usize,
    pub svg: Option<PathBuf>,
}

/// Boots a program, and shows what it maps. `true`: it passed, and what it was told can be.
///
/// # Errors
///
/// If there is no such program, it fails, or its trace is not whole.
pub fn run(wanted: &Wanted, choice: Choice) -> Result<bool> {
    let workspace = Workspace::open()?;
    let programs = workspace.programs()?;
    let program = programs.find(&wanted.name)?;
    program.check(wanted.arch)?;
    let toolchain = setup::prepare(choice, Need::Boot)?;
    let builder = Builder::new(&workspace, &toolchain);
    let elf = build(&builder, program, Build::of(program.kind, wanted.arch, wanted.window))?;
    let machine = wanted.machine.clone().with_disk_of(program, wanted.arch);
    let remark = format!("{}{}", wanted.arch, wanted.window.remark());
    say::heading(&format!("Tracing {} ({remark}) on {machine}", program.name));
    let story = record(&workspace.target, &elf, &machine, &program.name, say::guest)?;
    let part = Part::of(&story, wanted.from, wanted.length)?;

    text::summary(&story, part).iter().for_each(|line| say::note(line));
    text::lines(&story, part, WIDTH, wanted.lines).iter().for_each(|line| say::line(line));
    let page = workspace.target.join(format!("trace/{}.html", program.name));
    let on = format!("{machine} ({remark})");
    write(&page, &html::page(&story, &program.name, &on, part))?;
    say::note(&format!("page       {}", page.display()));
    if let Some(path) = &wanted.svg {
        let title = format!("{}: what was mapped, and when", program.name);
        write(path, &format!("{}\n", draw::svg(&story, &title, part, 1000, true).into_string()))?;
        say::note(&format!("picture    {}", path.display()));
    }
    story.findings.iter().take(text::FINDINGS).for_each(|finding| say::fail(finding));
    match story.findings.len() {
        0 => say::pass(&format!("{}: each mapping is in its slot alone, and handlers nest", program.name)),
        count => say::verdict(false, &format!("{}: {count} things that cannot be", program.name)),
    }
    Ok(story.findings.is_empty())
}

/// Builds a program that writes events down.
pub fn build(builder: &Builder<'_>, program: &Program, build: Build) -> Result<PathBuf> {
    let mut traced = program.clone();
    traced.features.insert(FEATURE.to_owned());
    let mut built = builder.build(&[&traced], build)?;
    built.remove(&program.name).with_context(|| format!("{} does not build", program.name))
}

/// What a program maps; `kept` is where its trace stays.
fn record(kept: &Path, elf: &Path, machine: &Machine, name: &str, on_line: impl FnMut(&str)) -> Result<Story> {
    let kept = kept.join("trace");
    fs::create_dir_all(&kept).with_context(|| format!("cannot create {}", kept.display()))?;
    let path = kept.join(format!("{name}.bin"));
    // Not that of another run.
    fs::write(&path, "").with_context(|| format!("cannot write {}", path.display()))?;
    let machine = Machine { console: Some(path.clone()), ..machine.clone() };
    let run = qemu::run(elf, &machine, on_line)?;
    if run.outcome != Outcome::Pass {
        bail!("{name}: {}", run.outcome);
    }
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let trace = decode::decode(&bytes).with_context(|| path.display().to_string())?;
    Ok(story::tell(&trace))
}

/// What is wrong with a trace in which each mapping is to have ended, if anything is; otherwise, what it has.
///
/// # Errors
///
/// If there is no trace.
pub fn check(kept: &Path, elf: &Path, machine: &Machine, name: &str) -> Result<Result<String, String>> {
    let story = record(kept, elf, machine, name, |_| ())?;
    let counts = story.counts;
    let said = format!("{} maps, {} unmaps, {} handlers", counts.maps, counts.unmaps, counts.handlers);
    // What is mapped where there was no more room has its end behind that.
    let all_ended = counts.open == 0 || story.cut.is_some();
    if story.findings.is_empty() && counts.maps > 0 && counts.maps == counts.unmaps + counts.open && all_ended {
        return Ok(Ok(said));
    }
    let cut = if story.cut.is_some() { ", up to where there was no more room" } else { "" };
    let first = story.findings.first().map_or(String::new(), |finding| format!("; {finding}"));
    Ok(Err(format!("{said}, {} still mapped{cut}{first}", counts.open)))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The part of a story that is shown, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    pub from: u64,
    pub to: u64,
}

impl Part {
    /// What is asked for; or what has most rows of all that there is room for.
    fn of(story: &Story, from: Option<u64>, length: Option<u64>) -> Result<Self> {
        let mut spans: Vec<(usize, &Span)> = story
            .rows
            .iter()
            .enumerate()
            .flat_map(|(row, Row { spans, .. })| spans.iter().map(move |span| (row, span)))
            .collect();
        spans.sort_by_key(|(_, span)| span.from);
        let first = spans.iter().position(|(_, span)| span.page.is_some());
        let first = first.context("nothing was mapped: pages of the direct map are not")?;
        let start = from.unwrap_or_else(|| busiest(&spans[first..], story.rows.len()));
        ensure!(start <= story.end, "--from: the trace ends after {}", time(story.end));
        let room = spans.iter().map(|(_, span)| span).filter(|span| span.to.is_none_or(|to| to >= start)).nth(BARS);
        let fits = room.map_or(story.end, |span| span.from).max(start + 1);
        let to = length.map_or(fits, |length| start.saturating_add(length).min(story.end).max(start + 1));
        // The first bar does not begin at the edge, if nobody says so.
        let before = if from.is_some() { 0 } else { (to - start) / 50 };
        Ok(Self { from: start.saturating_sub(before), to })
    }

    fn length(self) -> u64 {
        self.to - self.from
    }

    /// Whether something of the span is in it.
    fn has(self, span: &Span) -> bool {
        span.from < self.to && span.to.is_none_or(|to| to > self.from)
    }
}

/// When so many bars begin as there is room for, of as many rows as possible: the first such moment. `spans` are there, each with its row.
fn busiest(spans: &[(usize, &Span)], rows: usize) -> u64 {
    let mut in_view = vec![0; rows];
    let (mut different, mut most, mut start) = (0, 0, spans[0].1.from);
    for (number, (row, _)) in spans.iter().enumerate() {
        different += usize::from(in_view[*row] == 0);
        in_view[*row] += 1;
        let first = (number + 1).saturating_sub(BARS);
        if let Some(before) = first.checked_sub(1) {
            let gone = &mut in_view[spans[before].0];
            *gone -= 1;
            different -= usize::from(*gone == 0);
        }
        if different > most {
            (most, start) = (different, spans[first].1.from);
        }
    }
    start
}

/// Nanoseconds, for people.
fn time(nanoseconds: u64) -> String {
    let (unit, name) = match nanoseconds {
        0..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    format!("{}.{:03} {name}", nanoseconds / unit, nanoseconds % unit * 1000 / unit)
}

/// A time as the command line has it, in nanoseconds.
pub fn parse_time(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[number.len()..] {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return Err("a time with its unit, such as 250us, 1.5ms or 2s".to_owned()),
    };
    let value: f64 = number.parse().map_err(|_| format!("`{number}` is no number"))?;
    let nanoseconds = value * unit;
    if nanoseconds.is_finite() && (0.0..1e15).contains(&nanoseconds) {
        Ok(nanoseconds as u64)
    } else {
        Err("out of range: 0 to 1000000 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::decode::{Event, Told, Trace};
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, nanoseconds) in [("250us", 250_000), ("1.5ms", 1_500_000), ("2s", 2_000_000_000), ("0ns", 0)] {
            assert_eq!(parse_time(text), Ok(nanoseconds));
        }
        for bad in ["", "5", "us", "-1us", "1e300s", "infs", "1min", "1 us", "1\u{b5}s"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
        let said = [0, 1_234, 999_999, 1_000_000, 2_345_678, 3_000_000_000].map(time);
        assert_eq!(said, ["0.000 us", "1.234 us", "999.999 us", "1.000 ms", "2.345 ms", "3.000 s"]);
    }

    #[test]
    fn what_is_shown_has_room_or_is_what_was_asked_for() {
        let (slot, address) = ("User0".to_owned(), 4096);
        let mapped = Event::Mapped {
            slot: slot.clone(),
            address,
            pfn: 7,
            writable: true,
            table: false,
            caller: "a.rs:1:2".to_owned(),
        };
        let pairs = |count: u64| {
            let pair = |at: u64| {
                let unmapped = Event::Unmapped { slot: slot.clone(), address };
                [(at * 100, mapped.clone()), (at * 100 + 50, unmapped)].map(|(time, event)| Told {
                    cpu: 0,
                    time,
                    event,
                })
            };
            let events = (10..10 + count).flat_map(pair).collect();
            story::tell(&Trace { cpus: 1, events, lost: Vec::new() })
        };
        let few = pairs(10);
        assert_eq!(Part::of(&few, None, None).unwrap(), Part { from: 981, to: 1950 });
        assert_eq!(Part::of(&few, Some(1100), Some(200)).unwrap(), Part { from: 1100, to: 1300 });
        assert_eq!(Part::of(&few, Some(1100), Some(u64::MAX)).unwrap(), Part { from: 1100, to: 1950 });
        let error = Part::of(&few, Some(1951), None).unwrap_err().to_string();
        assert_eq!(error, "--from: the trace ends after 1.950 us");
        // Another slot, behind as many pairs as there is room for.
        let mut both = pairs(BARS as u64 + 5);
        let place = story::Place::Pool { address: 4096 };
        let spans = vec![both.rows[0].spans[BARS + 2].clone()];
        both.rows.push(Row { place, name: "later".to_owned(), spans });
        let part = Part::of(&both, None, None).unwrap();
        assert!(
            part.from > 1000 && both.rows.iter().all(|row| row.spans.iter().any(|span| part.has(span))),
            "{part:?}"
        );
        let many = pairs(BARS as u64 + 5);
        assert_eq!(Part::of(&many, None, None).unwrap().to, 1000 + BARS as u64 * 100);
        assert!(Part::of(&pairs(0), None, None).is_err());
    }
}
