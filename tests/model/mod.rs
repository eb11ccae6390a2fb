//! What the tests on the model have in common.
#![allow(dead_code, unused_macros, unused_imports, reason = "no test needs all of it")]

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs each test, a function that is generic over the paging mode, with each mode.
macro_rules! in_each_mode {
    ($($test:ident),* $(,)?) => {
        in_each_mode!(@mode non_pae NonPae $($test)*);
        in_each_mode!(@mode pae Pae $($test)*);
        in_each_mode!(@mode long Long $($test)*);
    };
    (@mode $module:ident $mode:ident $($test:ident)*) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$test::<highmem::paging::$mode>();
                }
            )*
        }
    };
}
pub(crate) use in_each_mode;

/// What `f` panics with.
pub fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).err().expect("it panics");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("it panics with text")
}

/// How many words of the page tables make one entry.
pub fn words_per_entry<P: highmem::paging::Paging>() -> usize {
    if P::PAE && !P::LONG_MODE { 2 } else { 1 }
}
