//! A guard of the pool is passed to `kunmap_atomic`.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let (mut mapped, _task) = kmap(task, &mut page).unwrap();
        mapped.fill(0);
        kunmap_atomic(mapped);
    });
}
