//! The segment descriptors: flat code and data in ring 0, and nothing else.

use x86::Ring;
use x86::dtables::{DescriptorTablePointer, lgdt, load_ldtr};
use x86::segmentation::{
    BuildDescriptor, CodeSegmentType, DataSegmentType, Descriptor, DescriptorBuilder, SegmentDescriptorBuilder,
    SegmentSelector, load_cs, load_ds, load_es, load_fs, load_gs, load_ss,
};

use crate::arch;

/// The code segment.
pub const CODE: SegmentSelector = SegmentSelector::new(1, Ring::Ring0);
/// The data segment.
const DATA: SegmentSelector = SegmentSelector::new(2, Ring::Ring0);

/// The limit of a segment of 4 GiB, in 4 KiB units.
const WHOLE: u32 = 0xf_ffff;

static GDT: spin::Once<[Descriptor; 3]> = spin::Once::new();

/// Leaves the boot loader's descriptors, which lie in memory that nobody keeps, for our own.
pub fn init() {
    let gdt = GDT.call_once(|| {
        let code: DescriptorBuilder = DescriptorBuilder::code_descriptor(0u32, WHOLE, CodeSegmentType::ExecuteRead);
        let data: DescriptorBuilder = DescriptorBuilder::data_descriptor(0u32, WHOLE, DataSegmentType::ReadWrite);
        [Descriptor::NULL, flat(arch::code_segment(code)), flat(data.db())]
    });
    // SAFETY: the table is static, and its segments say what the ones in use say.
    unsafe {
        lgdt(&DescriptorTablePointer::new_from_slice(gdt));
        load_cs(CODE);
        load_ds(DATA);
        load_es(DATA);
        load_fs(DATA);
        load_gs(DATA);
        load_ss(DATA);
        load_ldtr(SegmentSelector::from_raw(0));
    }
}

fn flat(segment: DescriptorBuilder) -> Descriptor {
    segment.present().dpl(Ring::Ring0).limit_granularity_4kb().finish()
}
