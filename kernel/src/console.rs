//! The console: the first serial port, for [`print!`](crate::print!), [`println!`](crate::println!) and the `log` crate.
//!
//! Interrupts are off while a message is formatted and sent, so a handler cannot break into a line; and the CPUs take turns, a message
//! each. The lock is held only for one piece of text at a time, and never while foreign code (a `Display`) runs: a panic in that can
//! still print, for a CPU whose turn it is need not wait for it.
//! Text is dropped, not waited for, if the lock or the port does not become free.

use core::fmt::{self, Write};
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::LSR;
use uart_16550::{Config, Uart16550};

use crate::sync::IrqLock;
use crate::{cpu, irq};

const COM1: u16 = 0x3f8;

/// Looks at the port, the lock, or whose turn it is, before they are given up.
const PATIENCE: u32 = 1 << 20;

const fn com1() -> Uart16550<PioBackend> {
    // SAFETY: the ports of COM1, which nobody else uses.
    match unsafe { Uart16550::new_port(COM1) } {
        Ok(uart) => uart,
        Err(_) => panic!("COM1 is a valid port"),
    }
}

/// The port; `None` if there is none.
static PORT: IrqLock<Option<Uart16550<PioBackend>>> = IrqLock::new(None);

/// Whose turn it is to print: the number of the CPU, and one; or 0.
static TURN: AtomicUsize = AtomicUsize::new(0);

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        PORT.attempt(PATIENCE, |port| port.as_mut().map(|port| text.bytes().for_each(|byte| send(port, byte))));
        Ok(())
    }
}

fn send(port: &mut Uart16550<PioBackend>, byte: u8) {
    for _ in 0..PATIENCE {
        if port.try_send_byte(byte).is_ok() {
            return;
        }
        core::hint::spin_loop();
    }
}

/// Prints on the serial port; takes what `format!` takes.
#[macro_export]
macro_rules! print {
    ($($arguments:tt)*) => {
        $crate::console::print(format_args!($($arguments)*))
    };
}

/// Prints on the serial port, with a line feed.
#[macro_export]
macro_rules! println {
    () => {
        $crate::print!("\n")
    };
    ($($arguments:tt)*) => {
        $crate::console::print(format_args!("{}\n", format_args!($($arguments)*)))
    };
}

/// What [`print!`](crate::print!) calls.
pub fn print(message: fmt::Arguments<'_>) {
    irq::with_disabled(|| {
        let own = cpu::number() + 1;
        let free_or_own = || match TURN.compare_exchange(0, own, Acquire, Relaxed) {
            Ok(_) => Some(true),
            Err(whose) => (whose == own).then_some(false),
        };
        let taken = (0..PATIENCE).inspect(|_| core::hint::spin_loop()).find_map(|_| free_or_own());
        // The console itself never fails; a `Display` that does has printed what it could.
        let _ = Console.write_fmt(message);
        if taken == Some(true) {
            TURN.store(0, Release);
        }
    });
}

/// Waits, not for ever, until all has left the port.
pub(crate) fn flush() {
    PORT.attempt(PATIENCE, |port| {
        let Some(port) = port else { return };
        for _ in 0..PATIENCE {
            if port.lsr().contains(LSR::TRANSMITTER_EMPTY) {
                return;
            }
            core::hint::spin_loop();
        }
    });
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("{}: {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {
        flush();
    }
}

/// Sets the port up, and makes it the place where `log` writes (level `Info`; change that with `log::set_max_level`).
pub(crate) fn init() {
    let mut port = com1();
    let works = port.init(Config::DEFAULT).is_ok();
    PORT.with(|slot| *slot = works.then_some(port));
    log::set_logger(&Logger).expect("the first logger");
    log::set_max_level(log::LevelFilter::Info);
}
