use base64ct::{Base64Unpadded, Encoding as _};
use proptest::prelude::*;

use super::*;
use crate::env::SystemRandom;
use crate::password::{Password, PasswordHasher};
use crate::settings::Argon2Settings;

fn matches(hash: &str, password: &str) -> bool {
    StoredHash::parse(hash).unwrap_or_else(|error| panic!("{hash}: {error}")).matches(password.as_bytes())
}

fn base64_of_hex(hex: &str) -> String {
    let hex: String = hex.split_whitespace().collect();
    let bytes: Vec<u8> = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    Base64Unpadded::encode_string(&bytes)
}

/// Values that others published.
#[test]
fn published_hashes_open_to_their_passwords() {
    let b64 = |text: &str| Base64Unpadded::encode_string(text.as_bytes());
    let scrypt =
        |parameters: &str, salt: &str, hex: &str| format!("$scrypt${parameters}${}${}", b64(salt), base64_of_hex(hex));
    let pbkdf2 = |kind: &str, iterations: u32, salt: &str, hex: &str| {
        format!("${kind}${iterations}${}${}", b64(salt), base64_of_hex(hex))
    };
    let known = [
        // The test vectors of argon2's reference implementation.
        ("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".to_owned(), "password"),
        ("$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA".to_owned(), "password"),
        ("$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ".to_owned(), "password"),
        // From the tests of jBCrypt.
        ("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe".to_owned(), "a"),
        // RFC 7914 sections 11 and 12.
        (scrypt("ln=10,r=8,p=16", "NaCl", "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"), "password"),
        (scrypt("ln=14,r=8,p=1", "SodiumChloride", "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"), "pleaseletmein"),
        (pbkdf2("pbkdf2-sha256", 80_000, "NaCl", "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"), "Password"),
        // RFC 6070.
        (pbkdf2("pbkdf2", 4096, "salt", "4b007901b765489abead49d926f721d065a429c1"), "password"),
        // By Python's hashlib; the first as passlib writes it.
        ("$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdYw$f1qhN9YsPiA.FWAKgBg.Zbb3eu4rJdCMOZr6RaDOADY".to_owned(), "password"),
        ("pbkdf2_sha256$1000$seasalt$nVpTZXwJn4RgPaPRlZHuZXPkxU/sIR+mr+FJRJ9X7ZQ=".to_owned(), "opensesame"),
        ("$scrypt$ln=4,r=8,p=1$c2FsdHlzYWx0$kVuQWalyskk6dxQfgOSTlBxOGZlNxA4Gf4jQv2BzBYU".to_owned(), "opensesame"),
        ("$pbkdf2-sha512$i=1000,l=64$c2FsdHNhbHQ$6PC6jJygFkh7lvMbrDIYWwC78g9yD3+UCp3xvekgZVXOYsEpdynkAnEZfBKeCAYAobMbpsTyvPVorKmCBXDE8w".to_owned(), "пароль длинный"),
    ];
    for (hash, password) in &known {
        assert!(matches(hash, password), "{hash}");
        assert!(!matches(hash, &format!("{password}x")), "{hash}");
        let parsed = StoredHash::parse(hash).unwrap();
        parsed.expect_bounded().unwrap();
    }
}

#[test]
fn each_variant_of_a_form_is_read() {
    let hash = PasswordHasher::new(Argon2Settings { m_kib: 8, t: 1, p: 1 }, &SystemRandom).unwrap();
    let ours = hash.hash(&Password::to_check("a password").unwrap(), &SystemRandom).unwrap();
    assert!(matches(&ours, "a password") && !StoredHash::parse(&ours).unwrap().is_foreign());
    assert!(matches(&format!("argon2{ours}"), "a password"), "Django's prefix");
    let bcrypt = ::bcrypt::hash_with_salt("a password", 4, [7; 16]).unwrap();
    for version in [::bcrypt::Version::TwoA, ::bcrypt::Version::TwoB, ::bcrypt::Version::TwoY] {
        let text = bcrypt.format_for_version(version);
        assert!(matches(&text, "a password") && matches(&format!("bcrypt${text}"), "a password"), "{text}");
        assert!(StoredHash::parse(&text).unwrap().is_foreign());
    }
    for algorithm in [::argon2::Algorithm::Argon2d, ::argon2::Algorithm::Argon2i, ::argon2::Algorithm::Argon2id] {
        use ::argon2::password_hash::PasswordHasher as _;
        let params = Params::new(16, 1, 2, Some(24)).unwrap();
        let argon2 = ::argon2::Argon2::new(algorithm, ::argon2::Version::V0x13, params);
        let text = argon2.hash_password_with_salt(b"a password", b"salt of others").unwrap().to_string();
        assert!(matches(&text, "a password") && !matches(&text, "another"), "{text}");
    }
    let [i, padded] = ["$pbkdf2-sha256$i=2$c2FsdA$", "pbkdf2_sha256$2$salt$"].map(|head| {
        let mut output = [0_u8; 32];
        let iterations = std::num::NonZeroU32::new(2).unwrap();
        aws_lc_rs::pbkdf2::derive(aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256, iterations, b"salt", b"word", &mut output);
        format!("{head}{}", Base64Unpadded::encode_string(&output))
    });
    assert!(matches(&i, "word") && matches(&format!("{padded}="), "word"));
}

#[test]
fn bcrypt_looks_at_72_bytes() {
    let long = "0123456789abcdef".repeat(5);
    let hash = ::bcrypt::hash_with_salt(&long, 4, [1; 16]).unwrap().to_string();
    assert!(matches(&hash, &long) && matches(&hash, &format!("{}different", &long[..72])));
    assert!(!matches(&hash, &long[..71]));
}

#[test]
fn what_costs_too_much_is_refused_before_it_runs() {
    let salt_and_hash = "c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdHNhbHQ";
    for (hash, what) in [
        ("$2b$15$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe".to_owned(), "cost"),
        (format!("$scrypt$ln=20,r=8,p=1${salt_and_hash}"), "memory"),
        (format!("$scrypt$ln=40,r=16384,p=16384${salt_and_hash}"), "memory"),
        (format!("$scrypt$ln=17,r=8,p=8${salt_and_hash}"), "work"),
        (format!("$argon2id$v=19$m=1048576,t=1,p=1${salt_and_hash}"), "m is"),
        (format!("$argon2id$v=19$m=65536,t=100,p=1${salt_and_hash}"), "m times t"),
        (format!("$pbkdf2-sha256$4000000000${salt_and_hash}"), "iterations"),
    ] {
        let error = StoredHash::parse(&hash).unwrap().expect_bounded().unwrap_err();
        assert!(matches!(error, HashError::TooCostly { .. }) && error.to_string().contains(what), "{hash}: {error}");
    }
    // What OWASP recommends passes.
    for hash in [
        format!("$scrypt$ln=17,r=8,p=1${salt_and_hash}"),
        format!("$argon2id$v=19$m=47104,t=1,p=1${salt_and_hash}"),
        format!("$pbkdf2-sha1$1300000${salt_and_hash}"),
        "$2b$12$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe".to_owned(),
    ] {
        StoredHash::parse(&hash).unwrap().expect_bounded().unwrap_or_else(|error| panic!("{hash}: {error}"));
    }
}

#[test]
fn what_is_wrong_with_a_hash_is_said() {
    for (hash, reason) in [
        ("", "kind that is not known"),
        ("plain text", "kind that is not known"),
        ("{SSHA}abcdef", "kind that is not known"),
        ("$6$salt$hash", "kind that is not known"),
        ("$2x$04$UuTkLRZZ6QofpDOlMz32MuuxEHA43WOemOYHPz6.SjsVsyO1tDU96", "kind that is not known"),
        ("bcrypt_sha256$$2b$12$abc", "kind that is not known"),
        ("$2b$04$short", "no bcrypt hash"),
        ("$2b$04$UuTkLRZZ6QofpDOlMz32MuuxEHA43WOemOYHPz6.SjsVsyO1tDU9é", "no bcrypt hash"),
        ("$2b$03$UuTkLRZZ6QofpDOlMz32MuuxEHA43WOemOYHPz6.SjsVsyO1tDU96", "its cost is not from"),
        ("$argon2id$v=19$m=8,t=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "m=…,t=…,p=…"),
        ("$argon2id$v=20$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "version"),
        ("$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "not possible"),
        ("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA", "shorter than 8"),
        ("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ", "its parts"),
        ("$scrypt$ln=0,r=8,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA", "not possible"),
        ("$scrypt$ln=4,r=0,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA", "not possible"),
        ("$scrypt$n=4,r=8,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA", "ln=…,r=…,p=…"),
        ("$scrypt$ln=4,r=8,p=1$c2FsdA$%%%", "its last part"),
        ("$pbkdf2-md5$1000$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA", "none of sha1"),
        ("$pbkdf2-sha256$0$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA", "its iterations"),
        ("$pbkdf2-sha256$-1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA", "its iterations"),
        ("$pbkdf2-sha256$i=1000,l=32$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA", "as long as its l"),
        ("$pbkdf2-sha256$1000$c2FsdA$AAAA", "its last part"),
        ("pbkdf2_sha256$1000$$AAAAAAAAAAAAAAAAAAAAAA", "the salt"),
    ] {
        let error = StoredHash::parse(hash).expect_err(hash).to_string();
        assert!(error.contains(reason), "{hash}: {error}");
    }
}

fn parts() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "$argon2id$v=19$m=8,t=1,p=1$",
        "$argon2d$",
        "$2b$04$",
        "$scrypt$ln=1,r=1,p=1$",
        "$pbkdf2-sha256$1$",
        "pbkdf2_sha1$1$",
        "argon2$",
        "bcrypt$",
    ]);
    (kind, "[$,=a-zA-Z0-9+/.é]{0,90}").prop_map(|(kind, rest)| format!("{kind}{rest}"))
}

proptest! {
    #[test]
    fn whatever_is_read_can_be_checked(text in prop_oneof!["\\PC{0,120}", parts()]) {
        if let Ok(hash) = StoredHash::parse(&text)
            && hash.expect_bounded().is_ok()
            && !text.contains("m=") // Of random costs only the cheap kinds are run.
        {
            let _ = hash.matches(b"anything");
        }
    }

    #[test]
    fn a_hash_that_is_cut_or_longer_is_not_the_same(cut in 1_usize..60) {
        let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let short = &hash[..hash.len() - cut];
        if let Ok(StoredHash(Kind::Argon(argon))) = StoredHash::parse(short) {
            prop_assert!(argon.expect_bounded().is_ok());
            prop_assert!(!StoredHash::parse(short).unwrap().is_argon2id_with(&Params::new(65536, 2, 1, None).unwrap()));
        }
    }
}
