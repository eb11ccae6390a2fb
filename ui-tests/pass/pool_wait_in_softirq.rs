//! `try_kmap` in a softirq: it never sleeps.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    softirq(|softirq| {
        let _mapped = try_kmap(softirq, &page).unwrap();
    });
}
