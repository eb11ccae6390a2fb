//! Entries and their bits. They are those of the crate `x86`, which has them on x86 alone: elsewhere they are here, by the same names, so
//! that code over any kernel compiles there.

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
pub use x86::{bits32, bits64};

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
pub use elsewhere::{bits32, bits64};

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
#[allow(dead_code, reason = "the bits are those of both formats, whether both are asked for them or not")]
mod elsewhere {
    macro_rules! format {
        ($name:ident: $word:ty $(, $flag:ident: $bit:literal)*) => {
            pub mod $name {
                pub mod paging {
                    /// An entry that maps a page (SDM vol. 3, 5.3 to 5.5).
                    #[derive(Clone, Copy, Debug)]
                    pub struct PTEntry(pub $word);

                    impl PTEntry {
                        pub const fn is_present(self) -> bool {
                            self.0 & PTFlags::P.0 != 0
                        }

                        pub const fn is_writeable(self) -> bool {
                            self.0 & PTFlags::RW.0 != 0
                        }

                        pub const fn address(self) -> Address {
                            Address(self.0 as u64 & 0x000f_ffff_ffff_f000)
                        }
                    }

                    /// Where a frame begins.
                    pub struct Address(u64);

                    impl Address {
                        pub const fn as_u64(self) -> u64 {
                            self.0
                        }
                    }

                    /// Bits of an entry.
                    pub struct PTFlags($word);

                    impl PTFlags {
                        pub const P: Self = Self(1 << 0);
                        pub const RW: Self = Self(1 << 1);
                        pub const US: Self = Self(1 << 2);
                        pub const PWT: Self = Self(1 << 3);
                        pub const PCD: Self = Self(1 << 4);
                        pub const A: Self = Self(1 << 5);
                        pub const D: Self = Self(1 << 6);
                        pub const G: Self = Self(1 << 8);
                        $(pub const $flag: Self = Self(1 << $bit);)*

                        pub const fn bits(&self) -> $word {
                            self.0
                        }
                    }
                }
            }
        };
    }

    format!(bits32: u32);
    format!(bits64: u64, XD: 63);
}
