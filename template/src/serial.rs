//! The first serial port: where `println!` writes.

use core::fmt;

use spin::Mutex;
use uart_16550::backend::PioBackend;
use uart_16550::{Config, Uart16550};

const COM1: u16 = 0x3f8;

static PORT: Mutex<Option<Uart16550<PioBackend>>> = Mutex::new(None);

/// Implements `core::fmt::Write` for the port, so that all that can be formatted can be printed.
pub struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Locked for a piece of text, in which nothing panics and nobody else prints.
        let mut port = PORT.lock();
        let port = port.get_or_insert_with(|| {
            // SAFETY: the ports of COM1, which nobody else uses.
            let port = unsafe { Uart16550::new_port(COM1) };
            let mut port = port.expect("this is a port");
            let _ = port.init(Config::DEFAULT); // whether it works, nobody could be told
            port
        });
        port.send_bytes_exact(text.as_bytes());
        Ok(())
    }
}

/// Prints a line; takes what `format!` takes.
#[macro_export]
macro_rules! println {
    ($($arguments:tt)*) => {
        _ = core::fmt::Write::write_fmt(
            &mut $crate::serial::Serial,
            format_args!("{}\n", format_args!($($arguments)*)),
        )
    };
}
