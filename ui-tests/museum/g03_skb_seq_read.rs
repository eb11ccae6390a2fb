//! G03, skb_seq_read: the last fragment of a packet stays mapped.
//!
//! Linux, `net/core/skbuff.c`, 2007. Fixed in 5b5a60da281. Seen: the diff.
//!
//! ```c
//! while (next)
//!         st->frag = kmap_skb_frag(f);
//! /* end of list: never unmapped */
//! ```
//!
//! Each step unmapped the fragment before it, and nobody unmapped the last: the preemption count was off by one from there on. Here
//! a state that may have a page mapped holds the context: softirqs stay off, and nothing sleeps, until it is gone.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/skb.rs"]
mod skb;
use skb::*;

struct SkbSeqState<'cx, 'skb> {
    skb: &'skb Skb,
    frag_idx: usize,
    frag: Fragment<'cx, 'skb>,
}

enum Fragment<'cx, 'skb> {
    None(SkbSlot<'cx>),
    Mapped(MappedFrag<'cx, 'skb>),
}

fn skb_prepare_seq_read<'cx, 'skb>(slot: SkbSlot<'cx>, skb: &'skb Skb) -> SkbSeqState<'cx, 'skb> {
    SkbSeqState { skb, frag_idx: 0, frag: Fragment::None(slot) }
}

/// The next data, and the state in which they are mapped.
fn skb_seq_read<'cx, 'skb>(st: SkbSeqState<'cx, 'skb>, read: &mut Vec<u8>) -> (usize, SkbSeqState<'cx, 'skb>) {
    let SkbSeqState { skb, frag_idx, frag } = st;
    let Some(next) = skb.frags.get(frag_idx) else {
        return (0, SkbSeqState { skb, frag_idx, frag });
    };
    let slot = match frag {
        Fragment::None(slot) => slot,
        Fragment::Mapped(mapped) => kunmap_skb_frag(mapped),
    };
    let mapped = kmap_skb_frag(slot, next);
    read.extend(&mapped[next.offset..next.offset + next.size]);
    (next.size, SkbSeqState { skb, frag_idx: frag_idx + 1, frag: Fragment::Mapped(mapped) })
}

fn main() {
    let (packet, mut read) = (skb(), Vec::new());
    thread(|task| {
        let mut atomic = task.atomic();
        let mut bh_off = atomic.bh_off();
        let mut st = skb_prepare_seq_read(bh_off.slots().skb_data_softirq, &packet);
        let mut consumed;
        loop {
            (consumed, st) = skb_seq_read(st, &mut read);
            if consumed == 0 {
                break;
            }
        }
        drop(bh_off);
        assert_eq!(read, b"abcde");
    });
}
