//! A function pointer is to take any token and keep it for good.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

type Token<'cx> = Slot<'cx, MyKernel, User0>;

fn keep<'cx>(slot: Token<'cx>, kept: &mut Vec<Token<'cx>>) {
    kept.push(slot);
}

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mut kept = Vec::new();
        let keep: for<'cx> fn(Token<'cx>, &mut Vec<Token<'static>>) = keep; // attack
        keep(atomic.slots().user0, &mut kept);
    });
}
