//! Follows a chunked body (RFC 9112 section 7.1), strictly: sizes are plain hexadecimal, line ends are CRLF.

use super::Reject;

/// More hexadecimal digits than this are no size that anyone means.
const MAX_SIZE_DIGITS: u8 = 15;
/// Bytes of one chunk's extensions.
const MAX_EXTENSION: u16 = 256;
/// Bytes of all trailers.
const MAX_TRAILERS: u16 = 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size { digits: u8 },
    Extension { length: u16 },
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
}

/// Where in a chunked body we are.
#[derive(Debug)]
pub(super) struct Chunked {
    at: At,
    size: u64,
    trailers: u16,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { at: At::Size { digits: 0 }, size: 0, trailers: 0 }
    }
}

impl Chunked {
    /// How many bytes of `input` belong to the body, and whether it ends there.
    pub(super) fn advance(&mut self, input: &[u8]) -> Result<(usize, bool), Reject> {
        let mut used = 0;
        while let Some(byte) = input.get(used) {
            if self.at == At::Data {
                let here = usize::try_from(self.size).unwrap_or(usize::MAX).min(input.len() - used);
                self.size -= here as u64;
                used += here;
                if self.size == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            used += 1;
            if self.take(*byte)? {
                return Ok((used, true));
            }
        }
        Ok((used, false))
    }

    /// Takes a byte that is not data; `true` if it was the body's last.
    fn take(&mut self, byte: u8) -> Result<bool, Reject> {
        self.at = match (self.at, byte) {
            (At::Size { digits }, _) if byte.is_ascii_hexdigit() && digits < MAX_SIZE_DIGITS => {
                let digit = (byte as char).to_digit(16).unwrap_or(0);
                self.size = self.size * 16 + u64::from(digit);
                At::Size { digits: digits + 1 }
            }
            (At::Size { digits: 1.. } | At::Extension { .. }, b'\r') => At::SizeLf,
            (At::Size { digits: 1.. }, b';') => At::Extension { length: 0 },
            (At::Extension { length }, b'\t' | 0x20..=0x7e) if length < MAX_EXTENSION => {
                At::Extension { length: length + 1 }
            }
            (At::SizeLf, b'\n') => {
                if self.size == 0 {
                    At::TrailerStart
                } else {
                    At::Data
                }
            }
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size { digits: 0 },
            (At::TrailerStart, b'\r') => At::LastLf,
            (At::LastLf, b'\n') => return Ok(true),
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::TrailerLf, b'\n') => At::TrailerStart,
            (At::TrailerStart, 0x21..=0x7e) | (At::Trailer, b'\t' | 0x20..=0x7e | 0x80..) => {
                self.trailers += 1;
                if self.trailers > MAX_TRAILERS {
                    return Err(Reject::HeadTooLarge);
                }
                At::Trailer
            }
            _ => return Err(Reject::Malformed("a chunk")),
        };
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(body: &[u8]) -> Result<(usize, bool), Reject> {
        Chunked::default().advance(body)
    }

    #[test]
    fn well_formed() {
        for body in [
            &b"0\r\n\r\n"[..],
            b"3\r\nabc\r\n0\r\n\r\n",
            b"3;a=\"b\"\r\nabc\r\n000\r\nx: y\r\n\r\n",
            b"A\r\n0123456789\r\n0\r\n\r\n",
        ] {
            assert_eq!(run(body), Ok((body.len(), true)), "{body:?}");
        }
        assert_eq!(run(b"0\r\n\r\nGET /"), Ok((5, true)));
    }

    #[test]
    fn malformed() {
        for body in [
            &b"\r\n"[..],
            b";a\r\n",
            b"0x3\r\nabc\r\n",
            b"+3\r\nabc\r\n",
            b" 3\r\nabc\r\n",
            b"3 \r\nabc\r\n",
            b"3\nabc\n",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n",
            b"3;\0\r\n",
            b"3;a\nb\r\n",
            b"3;a\rb\r\n",
            b"0\r\n x: y\r\n\r\n",
            b"0\r\n\n",
            b"1234567890abcdef\r\n",
        ] {
            assert!(run(body).is_err(), "{body:?}");
        }
        let long = [&b"3;"[..], &[b'a'; 300]].concat();
        assert!(run(&long).is_err());
    }
}
