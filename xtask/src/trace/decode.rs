//! What a traced kernel hands over, byte by byte. Numbers are little-endian.
//!
//! | | |
//! |---|---|
//! | head | `highmem trace 1\n`; ticks in a second, u64; the time of the beginning, u64; how many CPUs, u8 |
//! | `T` | a text: its number, u16; its length, u16; UTF-8. It may get another text later |
//! | `E` | an event: CPU, kind, flags, u8 each; slot and file, the numbers of texts, u16 each; line and column, u32 each; time, address and frame, u64 each |
//! | `L` | events that there was no room for: CPU, u8; how many, u64; the time of the first, u64 |
//! | `.` | the end: how many events, u64 |
//!
//! Anything else is an error that says where: a run that was killed is not mistaken for a short one.

use anyhow::{Context, Result, bail, ensure};

/// The first bytes, with the version of what follows.
const MAGIC: &[u8] = b"highmem trace 1\n";

/// As many CPUs as the kernel has.
const CPUS: u8 = 4;

/// All of it.
#[derive(Debug, PartialEq)]
pub struct Trace {
    /// How many CPUs there are.
    pub cpus: u8,
    /// In the order of time, and on each CPU in the order in which they came.
    pub events: Vec<Told>,
    /// Where there was no room.
    pub lost: Vec<Lost>,
}

/// An event, with CPU and time.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The CPU.
    pub cpu: u8,
    /// Nanoseconds since the kernel began to write events down.
    pub time: u64,
    /// What happened.
    pub event: Event,
}

/// Events that there was no room for.
#[derive(Clone, Debug, PartialEq)]
pub struct Lost {
    /// The CPU.
    pub cpu: u8,
    /// How many.
    pub count: u64,
    /// Nanoseconds until the first.
    pub since: u64,
}

/// What happened: as `highmem::trace::Event`.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A page is mapped.
    Mapped { slot: String, address: u64, pfn: u64, writable: bool, table: bool, caller: String },
    /// Its guard ends.
    Unmapped { slot: String, address: u64 },
    /// A local map goes with its thread.
    SwitchedOut { slot: String, address: u64, pfn: u64 },
    /// And comes back.
    SwitchedIn { slot: String, address: u64, pfn: u64 },
    /// A page of the pool has one user more.
    PoolMapped { address: u64, pfn: u64, writable: bool, caller: String },
    /// And one less.
    PoolUnmapped { address: u64 },
    /// A handler begins.
    Entered(Handler),
    /// And ends.
    Left(Handler),
}

/// A kind of handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    Softirq,
    Interrupt,
    Nmi,
}

/// The bytes that are left.
struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let bytes = self.all.get(self.at..self.at + count);
        let bytes = bytes.with_context(|| format!("the trace breaks off after {} bytes", self.all.len()))?;
        self.at += count;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}

/// Ticks, as the kernel counts them, to nanoseconds.
struct Clock {
    ticks_per_second: u64,
    began: u64,
}

impl Clock {
    fn nanoseconds(&self, ticks: u64) -> Result<u64> {
        let since = ticks.checked_sub(self.began).context("an event is older than the trace")?;
        Ok(u64::try_from(u128::from(since) * 1_000_000_000 / u128::from(self.ticks_per_second))?)
    }
}

/// Reads a trace.
///
/// # Errors
///
/// If it is none, or not whole.
pub fn decode(bytes: &[u8]) -> Result<Trace> {
    ensure!(!bytes.is_empty(), "the kernel has handed nothing over");
    ensure!(bytes.starts_with(MAGIC), "this is no trace: it begins otherwise");
    let mut bytes = Bytes { all: bytes, at: MAGIC.len() };
    let clock = Clock { ticks_per_second: bytes.u64()?, began: bytes.u64()? };
    ensure!(clock.ticks_per_second > 0, "the kernel has not found out how fast its clock is");
    let cpus = bytes.u8()?;
    ensure!((1..=CPUS).contains(&cpus), "a machine with {cpus} CPUs");
    let (mut texts, mut events, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let at = bytes.at;
        let of_cpu = |cpu| if cpu < cpus { Ok(cpu) } else { bail!("CPU {cpu} of {cpus}") };
        let item = match bytes.u8()? {
            b'T' => text(&mut bytes, &mut texts),
            b'E' => event(&mut bytes, &texts, &clock).and_then(|told| {
                of_cpu(told.cpu)?;
                events.push(told);
                Ok(())
            }),
            b'L' => (|| {
                let cpu = of_cpu(bytes.u8()?)?;
                let (count, since) = (bytes.u64()?, bytes.u64()?);
                lost.push(Lost { cpu, count, since: clock.nanoseconds(since)? });
                Ok(())
            })(),
            b'.' => {
                let count = bytes.u64()?;
                ensure!(count == events.len() as u64, "the trace has {} events, and says {count}", events.len());
                ensure!(bytes.at == bytes.all.len(), "there is something behind the end of the trace");
                break;
            }
            other => bail!("byte {at} of the trace begins nothing that is known: {other:#04x}"),
        };
        item.with_context(|| format!("byte {at} of the trace"))?;
    }
    for cpu in 0..cpus {
        let of_cpu = events.iter().filter(|told| told.cpu == cpu);
        ensure!(of_cpu.is_sorted_by_key(|told| told.time), "time goes back on CPU {cpu}");
    }
    // Stable: what a CPU has told of one moment stays in its order.
    events.sort_by_key(|told| told.time);
    Ok(Trace { cpus, events, lost })
}

fn text(bytes: &mut Bytes<'_>, texts: &mut Vec<String>) -> Result<()> {
    let (number, length) = (usize::from(bytes.u16()?), bytes.u16()?);
    let text = String::from_utf8(bytes.take(length.into())?.to_vec()).context("a text is not UTF-8")?;
    ensure!(number <= texts.len(), "text {number} comes before text {}", texts.len());
    match texts.get_mut(number) {
        Some(known) => *known = text,
        None => texts.push(text),
    }
    Ok(())
}

/// A path without the way into a directory and out again: examples are beside the package that they belong to.
fn tidy(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match parts.last() {
            Some(&last) if part == ".." && last != ".." && !last.is_empty() => _ = parts.pop(),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

fn event(bytes: &mut Bytes<'_>, texts: &[String], clock: &Clock) -> Result<Told> {
    let (cpu, kind, flags) = (bytes.u8()?, bytes.u8()?, bytes.u8()?);
    let mut text = || {
        let number = bytes.u16()?;
        texts.get(usize::from(number)).cloned().with_context(|| format!("there is no text {number}"))
    };
    let (slot, file) = (text()?, text()?);
    let (line, column) = (bytes.u32()?, bytes.u32()?);
    let (time, address, pfn) = (clock.nanoseconds(bytes.u64()?)?, bytes.u64()?, bytes.u64()?);
    let caller = format!("{}:{line}:{column}", tidy(&file));
    let (writable, table) = (flags & 1 != 0, flags & 2 != 0);
    let handler = || match flags {
        1 => Ok(Handler::Softirq),
        2 => Ok(Handler::Interrupt),
        3 => Ok(Handler::Nmi),
        other => bail!("there is no handler of kind {other}"),
    };
    let event = match kind {
        b'M' => Event::Mapped { slot, address, pfn, writable, table, caller },
        b'U' => Event::Unmapped { slot, address },
        b'O' => Event::SwitchedOut { slot, address, pfn },
        b'I' => Event::SwitchedIn { slot, address, pfn },
        b'P' => Event::PoolMapped { address, pfn, writable, caller },
        b'p' => Event::PoolUnmapped { address },
        b'E' => Event::Entered(handler()?),
        b'e' => Event::Left(handler()?),
        other => bail!("there is no event of kind {other:#04x}"),
    };
    Ok(Told { cpu, time, event })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(cpus: u8) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(2_000_000_000_u64.to_le_bytes());
        bytes.extend(1000_u64.to_le_bytes());
        bytes.push(cpus);
        bytes
    }

    fn text(number: u16, text: &str) -> Vec<u8> {
        [b"T", &number.to_le_bytes()[..], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat()
    }

    fn event(cpu: u8, kind: u8, flags: u8, time: u64) -> Vec<u8> {
        let texts = [1_u16.to_le_bytes(), 0_u16.to_le_bytes()].concat();
        let place = [7_u32.to_le_bytes(), 9_u32.to_le_bytes()].concat();
        let numbers = [time, 0xffc0_0000, 0x14_0000].map(u64::to_le_bytes).concat();
        [&[b'E', cpu, kind, flags][..], &texts, &place, &numbers].concat()
    }

    fn end(count: u64) -> Vec<u8> {
        [b".", &count.to_le_bytes()[..]].concat()
    }

    fn texts() -> Vec<u8> {
        [text(0, "a.rs"), text(1, "User0")].concat()
    }

    fn error(parts: &[Vec<u8>]) -> String {
        format!("{:#}", decode(&parts.concat()).unwrap_err())
    }

    #[test]
    fn events_come_in_the_order_of_time_in_nanoseconds() {
        let lost = [&b"L\x01"[..], &5_u64.to_le_bytes(), &9000_u64.to_le_bytes()].concat();
        let parts = [head(2), texts(), event(0, b'M', 3, 3000), event(0, b'U', 0, 5000), event(1, b'e', 2, 4000), lost];
        let trace = decode(&[parts.concat(), end(3)].concat()).unwrap();
        let (slot, address) = ("User0".to_owned(), 0xffc0_0000);
        let mapped = Event::Mapped {
            slot: slot.clone(),
            address,
            pfn: 0x14_0000,
            writable: true,
            table: true,
            caller: "a.rs:7:9".to_owned(),
        };
        let expected = [
            Told { cpu: 0, time: 1000, event: mapped },
            Told { cpu: 1, time: 1500, event: Event::Left(Handler::Interrupt) },
            Told { cpu: 0, time: 2000, event: Event::Unmapped { slot, address } },
        ];
        assert_eq!(
            trace,
            Trace { cpus: 2, events: expected.to_vec(), lost: vec![Lost { cpu: 1, count: 5, since: 4000 }] }
        );
    }

    #[test]
    fn paths_are_short() {
        let paths = ["kernel/../examples/a.rs", "a/b/../../c.rs", "../a.rs", "/../a.rs", "a.rs"].map(tidy);
        assert_eq!(paths, ["examples/a.rs", "c.rs", "../a.rs", "/../a.rs", "a.rs"]);
    }

    #[test]
    fn a_trace_that_is_not_whole_is_an_error_wherever_it_breaks_off() {
        let whole = [head(1), texts(), event(0, b'M', 0, 3000), end(1)].concat();
        assert!(decode(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
        }
        assert_eq!(error(&[whole, vec![0]]), "there is something behind the end of the trace");
        assert_eq!(error(&[Vec::new()]), "the kernel has handed nothing over");
    }

    #[test]
    fn what_is_corrupt_is_an_error_that_says_where() {
        assert_eq!(error(&[b"highmem trace 2\n".to_vec()]), "this is no trace: it begins otherwise");
        assert_eq!(error(&[head(5)]), "a machine with 5 CPUs");
        assert_eq!(error(&[head(1), b"X".to_vec()]), "byte 33 of the trace begins nothing that is known: 0x58");
        assert_eq!(error(&[head(1), event(0, b'M', 0, 3000)]), "byte 33 of the trace: there is no text 1");
        assert_eq!(error(&[head(1), text(1, "x")]), "byte 33 of the trace: text 1 comes before text 0");
        let corrupt = |event: Vec<u8>| error(&[head(1), texts(), event]);
        assert_eq!(corrupt(event(1, b'M', 0, 3000)), "byte 52 of the trace: CPU 1 of 1");
        assert_eq!(corrupt(event(0, b'?', 0, 3000)), "byte 52 of the trace: there is no event of kind 0x3f");
        assert_eq!(corrupt(event(0, b'E', 0, 3000)), "byte 52 of the trace: there is no handler of kind 0");
        assert_eq!(corrupt(event(0, b'M', 0, 999)), "byte 52 of the trace: an event is older than the trace");
        let back = [head(1), texts(), event(0, b'M', 0, 3000), event(0, b'U', 0, 2000)];
        assert_eq!(error(&[back.concat(), end(2)]), "time goes back on CPU 0");
        assert_eq!(error(&[back.concat(), end(3)]), "the trace has 2 events, and says 3");
        let mut unclocked = head(1);
        unclocked[16..24].fill(0);
        assert_eq!(error(&[unclocked]), "the kernel has not found out how fast its clock is");
    }
}
