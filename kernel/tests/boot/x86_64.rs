//! What `boot` has to know of 64-bit mode.

use x86::cpuid::CpuId;

/// How many levels the page tables should have: five, if the CPU can.
pub fn expected_levels() -> u32 {
    let features = CpuId::new().get_extended_feature_info();
    if features.is_some_and(|features| features.has_la57()) { 5 } else { 4 }
}
