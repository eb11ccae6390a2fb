//! A page is copied with two slots of one window.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn copy_highpage<K: Kernel<KmTypes = Set>>(
    (source, source_slot): (&Frame, Slot<'_, K, User0>),
    (target, target_slot): (&mut Frame, Slot<'_, K, User1>),
) where
    K: Kernel<Paging = Pae>,
{
    let from = kmap_atomic(source_slot, source);
    kmap_atomic(target_slot, target).copy_from_slice(&*from);
}

fn copy_to_guest<Host, Guest>(
    host: &mut Atomic<'_, Host>,
    guest: &mut Atomic<'_, Guest>,
    page: &mut Frame,
    source: &Frame,
) where
    Host: Kernel<KmTypes = Set, Paging = Pae>,
    Guest: Kernel<KmTypes = Set, Paging = Pae>,
{
    let (host, guest) = (host.slots(), guest.slots());
    copy_highpage((source, host.user0), (page, host.user1));
    drop(guest);
}

fn main() {}
