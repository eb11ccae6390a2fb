//! One page to be written, mapped twice at once.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let ([mut one, mut other], _task) = kmap_all(task, [&mut page, &mut page]).unwrap();
        one[0] = 1;
        other[0] = 2;
    });
}
