//! The page is kept, and mapped where it is used.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct Domain {
    table: Frame,
}

static DOMAIN: Global<Domain> = Global::empty();

fn main() {
    DOMAIN.put(Domain { table: frame(0) });
    nested_thread(|task| {
        let mut domain = DOMAIN.take().unwrap();
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        kmap_local_page(&mut local, &mut domain.table).0.fill(1);
    });
}
