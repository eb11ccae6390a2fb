//! A set of slots with one for NMIs.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

highmem::km_types! {
    pub mod km {
        irqsoff { rx_ring: RxRing }
        nmi { nmi_log: NmiLog }
    }
}

fn record<K: Kernel<KmTypes = km::Set>>(nmi: &mut Nmi<'_, K>, page: &mut highmem::Frame<K::Paging>) {
    kmap_atomic(nmi.slots().nmi_log, page)[0] = 1;
}

fn main() {}
