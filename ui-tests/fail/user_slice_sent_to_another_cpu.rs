//! User memory of this process is handed to another thread, where the addresses are those of another process.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let from = UserSlice::new(0x1000, 8).unwrap();
    send_to_another_cpu(from);
}
