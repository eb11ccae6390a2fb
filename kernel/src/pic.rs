//! The two 8259 interrupt controllers.
//!
//! The firmware leaves their lines on vectors that the CPU uses for exceptions, so they move to 32 and up; every line is
//! masked until somebody has a handler for it.

use x86::io::{inb, outb};

use crate::sync::IrqLock;

/// The vector of line 0.
pub const FIRST_VECTOR: u8 = 32;

/// The line of the first controller that the second one hangs on.
pub const CASCADE: u8 = 2;

const COMMAND: [u16; 2] = [0x20, 0xa0];
const DATA: [u16; 2] = [0x21, 0xa1];

const INITIALISE: u8 = 0x11;
const MODE_8086: u8 = 0x01;
const READ_IN_SERVICE: u8 = 0x0b;
const END_OF_INTERRUPT: u8 = 0x20;

/// One bit a line, 1 for masked; what was last written to the controllers.
static MASK: IrqLock<u16> = IrqLock::new(!0);

/// Moves the lines to [`FIRST_VECTOR`] and masks all but the cascade.
pub fn init() {
    let words = [[FIRST_VECTOR, 1 << CASCADE], [FIRST_VECTOR + 8, CASCADE]];
    for (chip, [vector, wiring]) in words.into_iter().enumerate() {
        // SAFETY: the initialisation sequence of the 8259, with interrupts still off.
        unsafe {
            outb(COMMAND[chip], INITIALISE);
            outb(DATA[chip], vector);
            outb(DATA[chip], wiring);
            outb(DATA[chip], MODE_8086);
        }
    }
    unmask(CASCADE);
}

/// Lets interrupts on `line` through.
pub fn unmask(line: u8) {
    MASK.with(|mask| {
        *mask &= !(1 << line);
        let [low, high] = mask.to_le_bytes();
        // SAFETY: writes the mask registers; every line below is one that has a handler or is the cascade.
        unsafe {
            outb(DATA[0], low);
            outb(DATA[1], high);
        }
    });
}

/// Whether an interrupt on `line` is none: the lowest priority stands in for a line that was withdrawn.
pub fn is_spurious(line: u8) -> bool {
    if line % 8 != 7 {
        return false;
    }
    let chip = usize::from(line / 8);
    // SAFETY: reads the in-service register; interrupts are off.
    let in_service = unsafe {
        outb(COMMAND[chip], READ_IN_SERVICE);
        inb(COMMAND[chip])
    };
    let spurious = in_service & 0x80 == 0;
    if spurious && chip == 1 {
        end_of_interrupt(CASCADE);
    }
    spurious
}

/// Tells the controllers that the interrupt on `line` is being served.
pub fn end_of_interrupt(line: u8) {
    // SAFETY: the command that ends the interrupt in service.
    unsafe {
        if line >= 8 {
            outb(COMMAND[1], END_OF_INTERRUPT);
        }
        outb(COMMAND[0], END_OF_INTERRUPT);
    }
}
