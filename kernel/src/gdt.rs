//! The segment descriptors of each CPU: flat code and data in ring 0, and for 32-bit mode the CPU's own data.

use x86::Ring;
use x86::dtables::{DescriptorTablePointer, lgdt, load_ldtr};
use x86::segmentation::{
    BuildDescriptor, CodeSegmentType, DataSegmentType, Descriptor, DescriptorBuilder, SegmentDescriptorBuilder,
    SegmentSelector, load_cs, load_ds, load_es, load_fs, load_gs, load_ss,
};

use crate::{arch, cpu};

/// The code segment.
pub const CODE: SegmentSelector = SegmentSelector::new(1, Ring::Ring0);
/// The data segment.
const DATA: SegmentSelector = SegmentSelector::new(2, Ring::Ring0);
/// The data segment that begins at the CPU's own structure; in 64-bit mode a register says where that is.
const OWN: SegmentSelector = SegmentSelector::new(3, Ring::Ring0);

/// The limit of a segment of 4 GiB, in 4 KiB units.
const WHOLE: u32 = 0xf_ffff;

static GDTS: [spin::Once<[Descriptor; 4]>; cpu::MAX] = [const { spin::Once::new() }; _];

/// Leaves the descriptors of boot for those of CPU `number`, whose own structure is at `own`.
pub fn init(number: usize, own: usize) {
    let gdt = GDTS[number].call_once(|| {
        let code: DescriptorBuilder = DescriptorBuilder::code_descriptor(0u32, WHOLE, CodeSegmentType::ExecuteRead);
        let data: DescriptorBuilder = DescriptorBuilder::data_descriptor(0u32, WHOLE, DataSegmentType::ReadWrite);
        let own: DescriptorBuilder = DescriptorBuilder::data_descriptor(own as u32, WHOLE, DataSegmentType::ReadWrite);
        [Descriptor::NULL, flat(arch::code_segment(code)), flat(data.db()), flat(own.db())]
    });
    // SAFETY: the table is static, and its segments say what the ones in use say.
    unsafe {
        lgdt(&DescriptorTablePointer::new_from_slice(gdt));
        load_cs(CODE);
        load_ds(DATA);
        load_es(DATA);
        load_fs(OWN);
        load_gs(DATA);
        load_ss(DATA);
        load_ldtr(SegmentSelector::from_raw(0));
    }
}

fn flat(segment: DescriptorBuilder) -> Descriptor {
    segment.present().dpl(Ring::Ring0).limit_granularity_4kb().finish()
}
