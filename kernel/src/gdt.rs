//! The segment descriptors of each CPU: flat code and data in ring 0 and in ring 3, for 32-bit mode the CPU's own data, and the task
//! state, in which the processor finds the kernel's stack when it comes out of ring 3.

use core::cell::UnsafeCell;

use x86::Ring;
use x86::dtables::{DescriptorTablePointer, lgdt, load_ldtr};
use x86::segmentation::{
    BuildDescriptor, CodeSegmentType, DataSegmentType, Descriptor, DescriptorBuilder, SegmentDescriptorBuilder,
    SegmentSelector, load_cs, load_ds, load_es, load_fs, load_gs, load_ss,
};
use x86::task::load_tr;

use crate::{arch, cpu};

/// The code segment.
pub const CODE: SegmentSelector = SegmentSelector::new(1, Ring::Ring0);
/// The data segment.
pub const DATA: SegmentSelector = SegmentSelector::new(2, Ring::Ring0);
/// The data segment that begins at the CPU's own structure; in 64-bit mode a register says where that is.
pub const OWN: SegmentSelector = SegmentSelector::new(3, Ring::Ring0);
/// The code segment of ring 3.
pub const USER_CODE: SegmentSelector = SegmentSelector::new(4, Ring::Ring3);
/// The data segment of ring 3.
pub const USER_DATA: SegmentSelector = SegmentSelector::new(5, Ring::Ring3);
/// The task state.
const TASK: SegmentSelector = SegmentSelector::new(6, Ring::Ring0);

/// The limit of a segment of 4 GiB, in 4 KiB units.
const WHOLE: u32 = 0xf_ffff;

static GDTS: [spin::Once<[Descriptor; 8]>; cpu::MAX] = [const { spin::Once::new() }; _];

struct Task(UnsafeCell<arch::TaskState>);

// SAFETY: only the CPU whose state it is uses it, by `set_kernel_stack` and on its way out of ring 3.
unsafe impl Sync for Task {}

static TASKS: [Task; cpu::MAX] = [const { Task(UnsafeCell::new(arch::task_state())) }; _];

/// Has this CPU begin at `stack` when it comes out of ring 3. Called with interrupts off.
///
/// # Safety
///
/// Ring 3 was, or is going to be, entered from there by the thread that runs next on this CPU.
pub unsafe fn set_kernel_stack(stack: usize) {
    // SAFETY: this CPU's own, and no interrupt comes in between.
    unsafe { arch::store_kernel_stack(TASKS[cpu::number()].0.get(), stack) }
}

/// Leaves the descriptors of boot for those of CPU `number`, whose own structure is at `own`.
pub fn init(number: usize, own: usize) {
    let gdt = GDTS[number].call_once(|| {
        let code: DescriptorBuilder = DescriptorBuilder::code_descriptor(0u32, WHOLE, CodeSegmentType::ExecuteRead);
        let data: DescriptorBuilder = DescriptorBuilder::data_descriptor(0u32, WHOLE, DataSegmentType::ReadWrite);
        let own: DescriptorBuilder = DescriptorBuilder::data_descriptor(own as u32, WHOLE, DataSegmentType::ReadWrite);
        let user_code: DescriptorBuilder =
            DescriptorBuilder::code_descriptor(0u32, WHOLE, CodeSegmentType::ExecuteRead);
        let user_data: DescriptorBuilder = DescriptorBuilder::data_descriptor(0u32, WHOLE, DataSegmentType::ReadWrite);
        let [task, task_upper] = arch::task_descriptor(TASKS[number].0.get() as usize);
        [
            Descriptor::NULL,
            flat(arch::code_segment(code), Ring::Ring0),
            flat(data.db(), Ring::Ring0),
            flat(own.db(), Ring::Ring0),
            flat(arch::code_segment(user_code), Ring::Ring3),
            flat(user_data.db(), Ring::Ring3),
            task,
            task_upper,
        ]
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
        load_tr(TASK);
    }
}

fn flat(segment: DescriptorBuilder, ring: Ring) -> Descriptor {
    segment.present().dpl(ring).limit_granularity_4kb().finish()
}
