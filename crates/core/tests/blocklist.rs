//! The list of common passwords: that it holds what it should, and what it costs in memory.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use propusk_core::password::blocklist::hash_of_word;
use propusk_core::password::{Blocklist, Password, PasswordError};
use propusk_core::settings::Settings;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// One test, so that nothing else of this process takes memory meanwhile.
#[test]
fn the_blocklist_costs_less_than_8_mb_and_holds_what_zxcvbn_holds() {
    let mut settings = Settings { password_min_length: 8, ..Settings::new("https://issuer.example") };
    let set = |text: &str, settings: &Settings| Password::to_set(text, settings, &["somebody"]).map(|_| ());
    // The library for hashing and for Unicode is there whether there is a list or not.
    let (warm, _) = (Password::to_check("ﬁne").unwrap(), hash_of_word("fine"));
    drop(warm);

    let before = resident_kib();
    for n in 0..2_000 {
        assert_eq!(set(&format!("violet staplers {n}"), &settings), Ok(()));
    }
    for common in ["password", "trustno1", "michaeljackson", "12345678987654321", "PASSWORDpassword"] {
        assert_eq!(set(common, &settings), Err(PasswordError::Common), "{common}");
    }
    let built_in = resident_kib().saturating_sub(before);
    eprintln!("the built-in list: {built_in} KiB");
    assert!(built_in < 4 * 1024, "{built_in} KiB");

    // An operator's list of half a million passwords is 4 MB of hashes.
    let hashes = (0..500_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    settings.password_blocklist = Blocklist::of_hashes(hashes);
    assert_eq!(set("violet staplers", &settings), Ok(()));
    let both = resident_kib().saturating_sub(before);
    eprintln!("with an operator's list of 500,000: {both} KiB");
    assert!(both < 8 * 1000, "{both} KiB");

    // The words that the crate itself takes for passwords: whatever it finds at once is refused.
    for word in
        ["superman", "starwars", "qazwsxedc", "ncc1701d", "webmaster", "1234qwer", "mailcreated5240", "lost4815162342"]
    {
        let found = zxcvbn::zxcvbn(word, &[]);
        assert!(found.guesses() <= 30_000, "{word} is in the crate's list");
        assert_eq!(set(word, &settings), Err(PasswordError::Common), "{word}");
    }
}
