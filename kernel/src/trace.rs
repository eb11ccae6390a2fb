//! What `highmem` tells of each mapping, written down with the time, for `cargo xtask trace`.
//!
//! Each CPU has room for so many events, and writes with interrupts off: nobody waits for anybody. What comes when the room is full is
//! counted, with the time from which on it is missing. At the end of the program all goes out through QEMU's debug console, a port that
//! takes bytes and writes them to a file; the serial port stays free for what the program says. Nothing goes out earlier: a
//! byte takes a microsecond or two, and would be in the picture.
//!
//! The format is that of `xtask/src/trace/decode.rs`, which says what each byte is.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use highmem::debug::Serving;
use highmem::slot::Group;
use highmem::trace::Event;
use x86::io::{inb, outb};
use x86::time::rdtsc;

use crate::{cpu, irq, println, smp};

/// Events that each CPU has room for.
const ROOM: usize = 32 << 10;

/// The port of QEMU's `isa-debugcon`, from which this can be read, too.
const PORT: u16 = 0xe9;

/// Something that happened, and when, in ticks of the time-stamp counter.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// The time.
    pub time: u64,
    /// What happened.
    pub event: Event,
}

/// What a CPU has written down.
struct Buffer {
    /// So many records are there, from the first on. They stay as they are.
    count: AtomicUsize,
    /// So many more there were, the first of them at this time.
    lost: AtomicU64,
    lost_since: AtomicU64,
    records: UnsafeCell<[MaybeUninit<Record>; ROOM]>,
}

// SAFETY: only its CPU writes, with interrupts off, and only behind `count`, where nobody reads.
unsafe impl Sync for Buffer {}

static BUFFERS: [Buffer; cpu::MAX] = [const {
    Buffer {
        count: AtomicUsize::new(0),
        lost: AtomicU64::new(0),
        lost_since: AtomicU64::new(0),
        records: UnsafeCell::new([MaybeUninit::uninit(); ROOM]),
    }
}; _];

/// Ticks of the time-stamp counter in a second, and at the beginning.
static TICKS_PER_SECOND: AtomicU64 = AtomicU64::new(0);
static BEGAN: AtomicU64 = AtomicU64::new(0);

/// Nothing is written down any more.
static ENDED: AtomicBool = AtomicBool::new(false);

fn now() -> u64 {
    // SAFETY: reads the time-stamp counter, which all processors that this kernel runs on have.
    unsafe { rdtsc() }
}

/// Finds out how fast the time-stamp counter is.
pub(crate) fn init() {
    TICKS_PER_SECOND.store(ticks_per_second().unwrap_or(0), Relaxed);
    BEGAN.store(now(), Relaxed);
}

/// Holds the time-stamp counter against channel 2 of the 8254, which nobody else uses. `None`: it does not count.
fn ticks_per_second() -> Option<u64> {
    const CLOCK: u64 = 1_193_182;
    const CLOCKS: u16 = (CLOCK / 50) as u16;
    const PATIENCE: u32 = 1 << 24;
    const GATE: u16 = 0x61;
    let [low, high] = CLOCKS.to_le_bytes();
    // SAFETY: programs the one channel, whose output goes nowhere while the speaker's bit is clear.
    let start = unsafe {
        outb(GATE, inb(GATE) & !2 | 1);
        outb(0x43, 0xb0); // channel 2, low byte then high byte, mode 0: its output rises at the end
        outb(0x42, low);
        outb(0x42, high);
        now()
    };
    // SAFETY: reads the output.
    (0..PATIENCE).find(|_| unsafe { inb(GATE) } & 0x20 != 0)?;
    Some((now() - start) * CLOCK / u64::from(CLOCKS))
}

/// Writes an event down; called by `highmem`, in any context.
pub(crate) fn record(event: &Event) {
    if ENDED.load(Relaxed) {
        return;
    }
    irq::with_disabled(|| {
        let buffer = &BUFFERS[cpu::number()];
        let (time, count) = (now(), buffer.count.load(Relaxed));
        if count == ROOM {
            if buffer.lost.fetch_add(1, Relaxed) == 0 {
                buffer.lost_since.store(time, Relaxed);
            }
            return;
        }
        let first: *mut MaybeUninit<Record> = buffer.records.get().cast();
        // SAFETY: within the array, and behind what others read; this CPU does nothing else meanwhile.
        unsafe { first.add(count).write(MaybeUninit::new(Record { time, event: *event })) };
        buffer.count.store(count + 1, Release);
    });
}

/// What a CPU has written down so far.
pub fn records(cpu: usize) -> &'static [Record] {
    let buffer = &BUFFERS[cpu];
    let count = buffer.count.load(Acquire);
    // SAFETY: so many are written, and stay as they are.
    unsafe { core::slice::from_raw_parts(buffer.records.get().cast::<Record>(), count) }
}

/// How many events of a CPU there was no room for.
pub fn lost(cpu: usize) -> u64 {
    BUFFERS[cpu].lost.load(Relaxed)
}

/// Hands all over to whoever has started QEMU, once; called at the end of the program, whatever it is.
pub(crate) fn hand_over() {
    if ENDED.swap(true, Relaxed) {
        return;
    }
    // SAFETY: the port of QEMU's debug console, or else of nothing.
    if unsafe { inb(PORT) } != PORT as u8 {
        println!("trace: nothing takes it, there is no debug console");
        return;
    }
    let mut out = Out { texts: [""; TEXTS], known: 0, events: 0 };
    out.bytes(b"highmem trace 1\n");
    out.bytes(&TICKS_PER_SECOND.load(Relaxed).to_le_bytes());
    out.bytes(&BEGAN.load(Relaxed).to_le_bytes());
    out.bytes(&[smp::count() as u8]);
    for (cpu, buffer) in (0..).zip(&BUFFERS) {
        records(cpu.into()).iter().for_each(|record| out.record(cpu, record));
        let lost = buffer.lost.load(Relaxed);
        if lost > 0 {
            out.bytes(&[b'L', cpu]);
            out.bytes(&lost.to_le_bytes());
            out.bytes(&buffer.lost_since.load(Relaxed).to_le_bytes());
        }
    }
    out.bytes(b".");
    let events = out.events;
    out.bytes(&events.to_le_bytes());
}

/// Texts that are sent once, and then by their numbers; more of them are sent again and again.
const TEXTS: usize = 256;

struct Out {
    texts: [&'static str; TEXTS],
    known: usize,
    events: u64,
}

impl Out {
    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            // SAFETY: the port of the debug console, which takes any byte.
            unsafe { outb(PORT, byte) };
        }
    }

    /// The number of a text, which is sent before.
    fn text(&mut self, text: &'static str) -> u16 {
        let same = |known: &&str| core::ptr::eq(*known, text);
        if let Some(number) = self.texts[..self.known].iter().position(same) {
            return number as u16;
        }
        // The last number is for all texts that there is no room for, one after the other.
        let number = self.known.min(TEXTS - 1);
        self.texts[number] = text;
        self.known = TEXTS.min(number + 1);
        self.bytes(b"T");
        self.bytes(&(number as u16).to_le_bytes());
        self.bytes(&(text.len() as u16).to_le_bytes());
        self.bytes(text.as_bytes());
        number as u16
    }

    fn record(&mut self, cpu: u8, record: &Record) {
        let (mut slot, mut place, mut flags, mut at) = ("", None, 0, 0);
        let mut frame = 0;
        let kind = match record.event {
            Event::Mapped { slot: name, group, address, pfn, writable, table, caller } => {
                (slot, place, at, frame) = (name, Some(caller), address, pfn);
                flags = u8::from(writable) | u8::from(table) << 1 | group_number(group) << 2;
                b'M'
            }
            Event::Unmapped { slot: name, address } => {
                (slot, at) = (name, address);
                b'U'
            }
            Event::SwitchedOut { slot: name, address, pfn } => {
                (slot, at, frame) = (name, address, pfn);
                b'O'
            }
            Event::SwitchedIn { slot: name, address, pfn } => {
                (slot, at, frame) = (name, address, pfn);
                b'I'
            }
            Event::PoolMapped { address, pfn, writable, caller } => {
                (place, at, frame) = (Some(caller), address, pfn);
                flags = u8::from(writable);
                b'P'
            }
            Event::PoolUnmapped { address } => {
                at = address;
                b'p'
            }
            Event::Entered(serving) => {
                flags = serving_number(serving);
                b'E'
            }
            Event::Left(serving) => {
                flags = serving_number(serving);
                b'e'
            }
            _ => b'?',
        };
        let (slot, file) = (self.text(slot), self.text(place.map_or("", |place| place.file())));
        let (line, column) = place.map_or((0, 0), |place| (place.line(), place.column()));
        self.bytes(&[b'E', cpu, kind, flags]);
        self.bytes(&slot.to_le_bytes());
        self.bytes(&file.to_le_bytes());
        self.bytes(&line.to_le_bytes());
        self.bytes(&column.to_le_bytes());
        self.bytes(&record.time.to_le_bytes());
        self.bytes(&(at as u64).to_le_bytes());
        self.bytes(&(frame as u64).to_le_bytes());
        self.events += 1;
    }
}

fn group_number(group: Group) -> u8 {
    match group {
        Group::MigrationOff => 0,
        Group::PreemptionOff => 1,
        Group::SoftirqsOff => 2,
        Group::InterruptsOff => 3,
        Group::InNmi => 4,
    }
}

fn serving_number(serving: Serving) -> u8 {
    match serving {
        Serving::Thread => 0,
        Serving::SoftirqHandler => 1,
        Serving::InterruptHandler => 2,
        Serving::NmiHandler => 3,
    }
}
