//! The plain spelling of headers and claims, as authorities write it, read in one pass without a copy.
//!
//! What is not plain (an escape, white space, a member that we do not know or that comes twice, a value of another type)
//! is no error here: nothing is read, and the strict parser reads it anew and names what is wrong. What is read here,
//! that one reads the same.

use super::claims::{AccessClaims, Act, MAX_ACTORS};

/// The members of a header that has these three and no others.
#[derive(Debug, Default)]
pub(super) struct PlainHeader<'a> {
    pub(super) alg: Option<&'a str>,
    pub(super) kid: Option<&'a str>,
    pub(super) typ: Option<&'a str>,
}

/// A plain header.
pub(super) fn header(bytes: &[u8]) -> Option<PlainHeader<'_>> {
    let mut header = PlainHeader::default();
    object_alone(bytes, |name, value| match name {
        "alg" => once(&mut header.alg, value.text()?),
        "kid" => once(&mut header.kid, value.text()?),
        "typ" => once(&mut header.typ, value.text()?),
        _ => None,
    })?;
    Some(header)
}

/// Plain claims, all that are needed among them.
pub(super) fn claims(bytes: &[u8]) -> Option<AccessClaims> {
    let [mut iss, mut sub, mut aud, mut client_id, mut jti, mut scope, mut sid] = [None; 7];
    let [mut iat, mut exp, mut nbf, mut epoch] = [None; 4];
    let (mut roles, mut act) = (None, None);
    object_alone(bytes, |name, value| match name {
        "iss" => once(&mut iss, value.text()?),
        "sub" => once(&mut sub, value.text()?),
        "aud" => once(&mut aud, value.text()?),
        "client_id" => once(&mut client_id, value.text()?),
        "jti" => once(&mut jti, value.text()?),
        "scope" => once(&mut scope, value.text()?),
        "sid" => once(&mut sid, value.text()?),
        "iat" => once(&mut iat, value.number()?),
        "exp" => once(&mut exp, value.number()?),
        "nbf" => once(&mut nbf, value.number()?),
        "epoch" => once(&mut epoch, value.number()?),
        "roles" => once(&mut roles, value.texts()?),
        "act" => once(&mut act, value.act(MAX_ACTORS)?),
        _ => None,
    })?;
    let sid = match sid {
        Some(sid) => Some(identifier(Some(sid))?),
        None => None,
    };
    Some(AccessClaims {
        iss: identifier(iss)?,
        sub: identifier(sub)?,
        aud: identifier(aud)?,
        client_id: identifier(client_id)?,
        iat: iat?,
        exp: exp?,
        nbf,
        jti: identifier(jti)?,
        epoch: epoch?,
        roles: roles.unwrap_or_default(),
        scope: scope.map(str::to_owned),
        sid,
        act,
    })
}

/// An object and nothing behind it.
fn object_alone<'a>(bytes: &'a [u8], read: impl FnMut(&str, &mut Plain<'a>) -> Option<()>) -> Option<()> {
    let mut plain = Plain { rest: std::str::from_utf8(bytes).ok()? };
    plain.object(read)?;
    plain.rest.is_empty().then_some(())
}

fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

fn identifier(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

struct Plain<'a> {
    rest: &'a str,
}

impl<'a> Plain<'a> {
    fn skip(&mut self, mark: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(mark)?;
        Some(())
    }

    /// What comes before the first byte that does not belong.
    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> Option<&'a str> {
        let end = self.rest.bytes().position(|byte| !belongs(byte))?;
        let (before, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some(before)
    }

    fn text(&mut self) -> Option<&'a str> {
        let inside = self.rest.strip_prefix('"')?;
        let (text, rest) = inside.split_at_checked(plain_bytes(inside.as_bytes()))?;
        self.rest = rest.strip_prefix('"')?;
        Some(text)
    }

    /// A whole number. What follows it is looked at by whoever asked.
    fn number(&mut self) -> Option<u64> {
        let digits = self.take_while(|byte| byte.is_ascii_digit())?;
        if digits.len() > 1 && digits.starts_with('0') { None } else { digits.parse().ok() }
    }

    fn texts(&mut self) -> Option<Vec<String>> {
        self.skip('[')?;
        let mut texts = Vec::new();
        if self.skip(']').is_some() {
            return Some(texts);
        }
        loop {
            texts.push(self.text()?.to_owned());
            if self.skip(']').is_some() {
                return Some(texts);
            }
            self.skip(',')?;
        }
    }

    fn object(&mut self, mut read: impl FnMut(&str, &mut Self) -> Option<()>) -> Option<()> {
        self.skip('{')?;
        loop {
            let name = self.text()?;
            self.skip(':')?;
            read(name, self)?;
            if self.skip('}').is_some() {
                return Some(());
            }
            self.skip(',')?;
        }
    }

    fn act(&mut self, deepest: usize) -> Option<Act> {
        let inside = deepest.checked_sub(1)?;
        let (mut sub, mut act) = (None, None);
        self.object(|name, value| match name {
            "sub" => once(&mut sub, value.text()?),
            "act" => once(&mut act, Box::new(value.act(inside)?)),
            _ => None,
        })?;
        Some(Act { sub: identifier(sub)?, act })
    }
}

/// How many bytes come before the first that ends a plain text or has no place in one: eight are looked at together.
fn plain_bytes(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return number * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    words.len() * 8 + rest.iter().take_while(|byte| is_plain(byte)).count()
}

/// The highest bit of each byte that is a quote, a backslash, below a space, a DEL or not ASCII; of the bytes behind the
/// first such one it may say so wrongly.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 0x80;
    let is = |byte: u8| {
        let apart = word ^ (ONES * u64::from(byte));
        apart.wrapping_sub(ONES) & !apart
    };
    let below_space = word.wrapping_sub(ONES * u64::from(b' ')) & !word;
    (is(b'"') | is(b'\\') | is(0x7f) | below_space | word) & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::jose::parse_object;

    const PLAIN: &str = r#"{"iss":"https://id.example.com","sub":"u_1","aud":"cars","client_id":"gateway","iat":1,"exp":2,"jti":"t_1","epoch":0,"roles":["buyer","a b"],"sid":"s_1","act":{"sub":"posts","act":{"sub":"users"}}}"#;

    fn strict(text: &str) -> Option<AccessClaims> {
        AccessClaims::read(&parse_object(text.as_bytes()).ok()?).ok()
    }

    #[test]
    fn what_authorities_write_is_plain() {
        let read = claims(PLAIN.as_bytes());
        assert!(read.is_some());
        assert_eq!(read, strict(PLAIN));
        assert!(header(br#"{"alg":"EdDSA","kid":"k","typ":"at+jwt"}"#).is_some());
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_strict_parser() {
        let without = |from: &str, to: &str| {
            assert!(PLAIN.contains(from), "{from}");
            PLAIN.replacen(from, to, 1)
        };
        for text in [
            without("\"u_1\"", "\"u_\\u0031\""),
            without("\"u_1\"", "\"ü\""),
            without("\"u_1\"", "\"\""),
            without("\"iat\":1", "\"iat\":01"),
            without("\"iat\":1", "\"iat\":1.0"),
            without("\"iat\":1", "\"iat\":-1"),
            without("\"iat\":1", "\"iat\":18446744073709551616"),
            without("\"iat\":1", "\"iat\": 1"),
            without("\"iat\":1", "\"iat\":"),
            without("\"iat\":1", "\"iat\":1,\"iat\":1"),
            without("\"iat\":1", "\"iat\":1,\"cnf\":{}"),
            without("\"iat\":1,", ""),
            without("\"sub\":\"users\"", "\"sub\":\"\""),
            format!("{PLAIN} "),
            format!("{PLAIN}{PLAIN}"),
            String::new(),
            "{}".to_owned(),
        ] {
            assert_eq!(claims(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn every_byte_at_every_place_is_plain_or_not() {
        for place in 0..24 {
            for byte in 0..=u8::MAX {
                let mut bytes = [b'a'; 24];
                bytes[place] = byte;
                let is_plain = (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
                assert_eq!(plain_bytes(&bytes), if is_plain { 24 } else { place }, "{byte} at {place}");
                assert_eq!(plain_bytes(&bytes[..place]), place);
            }
        }
    }

    proptest! {
        /// Whatever is changed: what this reads, the strict parser reads the same.
        #[test]
        fn both_read_the_same(
            at in 0..PLAIN.len(),
            cut in 0_usize..12,
            put in "[\\[\\]{}:,\"\\\\ a-z0-9.-]{0,6}",
        ) {
            let mut text = PLAIN.to_owned();
            text.replace_range(at..(at + cut).min(PLAIN.len()), &put);
            if let Some(read) = claims(text.as_bytes()) {
                prop_assert_eq!(Some(read), strict(&text));
            }
        }
    }
}
