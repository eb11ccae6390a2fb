//! A local map is kept in a structure that all CPUs use, to be used and unmapped by another one later.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct Domain {
    table: highmem::KmapLocal<'static, Nested, InTask, typenum::U0, Frame>,
}

static DOMAIN: Global<Domain> = Global::empty();

fn main() {
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (table, _) = kmap_local_page(&mut local, frame(0));
        DOMAIN.put(Domain { table });
    });
}
