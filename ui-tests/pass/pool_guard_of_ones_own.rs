//! A structure that has a mapping gives it back.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct Mine<'a>(Kmap<'a, MyKernel, Frame>);

fn main() {
    thread(|task| {
        let (mapped, _task) = kmap(task, frame(0)).unwrap();
        let mine = Mine(mapped);
        free(kunmap(mine.0));
    });
}
