//! The state has the slot, and each fragment is mapped for as long as its data are looked at.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/skb.rs"]
mod skb;
use skb::*;

struct SkbSeqState<'cx, 'skb> {
    skb: &'skb Skb,
    frag_idx: usize,
    slot: SkbSlot<'cx>,
}

fn skb_prepare_seq_read<'cx, 'skb>(slot: SkbSlot<'cx>, skb: &'skb Skb) -> SkbSeqState<'cx, 'skb> {
    SkbSeqState { skb, frag_idx: 0, slot }
}

fn skb_seq_read(st: &mut SkbSeqState<'_, '_>, read: &mut Vec<u8>) -> usize {
    let Some(next) = st.skb.frags.get(st.frag_idx) else { return 0 };
    st.frag_idx += 1;
    read.extend(&kmap_skb_frag(st.slot.reborrow(), next)[next.offset..next.offset + next.size]);
    next.size
}

fn main() {
    let (packet, mut read) = (skb(), Vec::new());
    thread(|task| {
        let mut atomic = task.atomic();
        let mut bh_off = atomic.bh_off();
        let mut st = skb_prepare_seq_read(bh_off.slots().skb_data_softirq, &packet);
        while skb_seq_read(&mut st, &mut read) > 0 {}
        drop(bh_off);
        assert_eq!(read, b"abcde");
    });
}
