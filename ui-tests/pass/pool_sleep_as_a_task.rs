//! A function that sleeps and maps nothing is called under a mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let (mapped, task) = kmap(task, &page).unwrap();
        sleep(task);
        assert_eq!(mapped[0], 0);
    });
}
