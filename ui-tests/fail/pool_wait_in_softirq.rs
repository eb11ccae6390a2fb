//! `kmap` in a softirq: it may sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    softirq(|softirq| {
        let _mapped = kmap(softirq, &page).unwrap();
    });
}
