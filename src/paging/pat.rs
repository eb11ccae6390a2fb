//! How the processor caches what an entry maps: the page attribute table (SDM vol. 3, 12.12).
//!
//! In C, the cache attribute is an argument of the mapping (`kmap_atomic_prot`), and two mappings of one frame with two
//! attributes are undefined behaviour of the processor. Here it belongs to the frame's type.

/// What the processor may do between an access and the memory (SDM vol. 3, 12.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum MemoryType {
    /// Each access reaches the device, in order. For registers.
    Uncached = 0,
    /// Writes are collected and reach the device later, in any order; reads reach it. For frame buffers.
    WriteCombining = 1,
    /// Reads are cached, writes reach the device.
    WriteThrough = 4,
    /// Reads are cached, writes reach the device and remove the line from all caches.
    WriteProtected = 5,
    /// Both are cached. For ordinary memory.
    WriteBack = 6,
    /// As uncached, but an MTRR may make it write-combining.
    UncachedMinus = 7,
}

impl MemoryType {
    const fn name(self) -> &'static str {
        match self {
            Self::Uncached => "uncached",
            Self::WriteCombining => "write-combining",
            Self::WriteThrough => "write-through",
            Self::WriteProtected => "write-protected",
            Self::WriteBack => "write-back",
            Self::UncachedMinus => "uncached-minus",
        }
    }
}

/// A page attribute table: what the eight combinations of the bits PAT, PCD and PWT in an entry mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pat([MemoryType; 8]);

impl Pat {
    /// The table that a processor starts with. Processors without PAT have its first half. It has no write-combining.
    pub const POWER_ON: Self = {
        use MemoryType::*;
        Self([WriteBack, WriteThrough, UncachedMinus, Uncached, WriteBack, WriteThrough, UncachedMinus, Uncached])
    };

    /// A table that has all types. Its first four mean what Linux has them mean.
    pub const ALL_TYPES: Self = {
        use MemoryType::*;
        Self([
            WriteBack,
            WriteCombining,
            UncachedMinus,
            Uncached,
            WriteBack,
            WriteProtected,
            UncachedMinus,
            WriteThrough,
        ])
    };

    /// A table of the kernel's own.
    ///
    /// # Panics
    /// Unless its first entry is write-back: that is what entries of ordinary memory name.
    pub const fn new(types: [MemoryType; 8]) -> Self {
        assert!(matches!(types[0], MemoryType::WriteBack), "the first type of a PAT is write-back");
        Self(types)
    }

    /// The value of the register IA32_PAT (0x277) for this table.
    pub const fn register(self) -> u64 {
        let mut bytes = [0; 8];
        let mut index = 0;
        while index < bytes.len() {
            bytes[index] = self.0[index] as u8;
            index += 1;
        }
        u64::from_le_bytes(bytes)
    }

    /// The type that an index means.
    pub const fn memory_type(self, index: PatIndex) -> MemoryType {
        self.0[index.0 as usize]
    }

    /// The first entry with this type.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub(crate) const fn index_of(self, wanted: MemoryType) -> PatIndex {
        let mut index = 0;
        while index < self.0.len() {
            if self.0[index] as u8 == wanted as u8 {
                return PatIndex(index as u8);
            }
            index += 1;
        }
        const_panic::concat_panic!("`Kernel::PAT` has no entry that is ", display: wanted.name(), "; load a PAT that has one (`Pat::ALL_TYPES`)")
    }
}

/// An index into the [`Pat`]: the bits PAT, PCD and PWT of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PatIndex(u8);

impl PatIndex {
    /// Of ordinary memory: write-back.
    pub const WRITE_BACK: Self = Self(0);

    /// The bits as they stand in an entry of a page table, in each paging mode.
    #[inline]
    pub(super) const fn bits(self) -> u32 {
        // PWT is bit 3, PCD bit 4, and PAT bit 7.
        ((self.0 & 0b011) as u32) << 3 | ((self.0 & 0b100) as u32) << 5
    }

    /// The reverse of [`bits`](Self::bits).
    #[inline]
    pub(super) const fn of_bits(bits: u32) -> Self {
        Self((bits >> 3 & 0b011 | bits >> 5 & 0b100) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x86::bits64::paging::PTFlags;

    #[test]
    fn registers_are_those_of_the_manual() {
        assert_eq!(Pat::POWER_ON.register(), 0x0007_0406_0007_0406);
        assert_eq!(Pat::ALL_TYPES.register(), 0x0407_0506_0007_0106);
    }

    #[test]
    fn an_index_becomes_the_three_bits() {
        let bits = |flags: PTFlags| flags.bits() as u32;
        assert_eq!(Pat::POWER_ON.index_of(MemoryType::WriteBack).bits(), 0);
        assert_eq!(Pat::POWER_ON.index_of(MemoryType::WriteThrough).bits(), bits(PTFlags::PWT));
        assert_eq!(Pat::POWER_ON.index_of(MemoryType::UncachedMinus).bits(), bits(PTFlags::PCD));
        assert_eq!(Pat::POWER_ON.index_of(MemoryType::Uncached).bits(), bits(PTFlags::PCD | PTFlags::PWT));
        assert_eq!(Pat::ALL_TYPES.index_of(MemoryType::WriteProtected).bits(), bits(PTFlags::PWT) | 1 << 7);
        assert_eq!(
            Pat::ALL_TYPES.index_of(MemoryType::WriteThrough).bits(),
            bits(PTFlags::PCD | PTFlags::PWT) | 1 << 7
        );
    }

    #[test]
    #[should_panic(expected = "`Kernel::PAT` has no entry that is write-combining")]
    fn a_type_that_is_not_in_the_table_is_reported() {
        Pat::POWER_ON.index_of(MemoryType::WriteCombining);
    }
}
