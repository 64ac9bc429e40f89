//! The allocator, and giving back what it does not need.
//!
//! Each password takes 19 MiB for a few milliseconds. mimalloc is fast with such blocks because it keeps them; a
//! process that has little to do would hold them for as long as it runs.

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3. The crate has no name for it.
const PURGE_DELAY: mi_option_t = 15;
/// Freed memory goes back to the system after this many milliseconds.
const DELAY_MS: core::ffi::c_long = 10;

/// To be called first of all, while there is one thread.
pub(crate) fn give_back_soon() {
    #[expect(unsafe_code, reason = "there is no safe way to set an option of the allocator")]
    // SAFETY: it sets one number; it is not thread safe, and no other thread has been started.
    unsafe {
        mi_option_set(PURGE_DELAY, DELAY_MS);
    }
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::{mi_option_get, mi_version};

    use super::*;

    /// A new version may number its options anew: then look the number up and mend the constant.
    #[test]
    #[expect(unsafe_code, reason = "there is no safe way to ask the allocator")]
    fn the_number_is_the_one_of_this_version() {
        // SAFETY: both only read.
        let (version, delay) = unsafe { (mi_version(), mi_option_get(PURGE_DELAY)) };
        assert_eq!(version / 10_000, 3, "{version}");
        assert_eq!(delay, 1000, "the default of mi_option_purge_delay");
    }
}
