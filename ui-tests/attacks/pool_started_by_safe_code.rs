//! The pool is used before the kernel has linked its table.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let _ = MyKernel::pool();
    MyKernel::pool().start::<MyKernel>(); // attack
}
