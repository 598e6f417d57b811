//! The one normal form of a request's path, which is both routed and forwarded, so that gateway and
//! service cannot read a path differently. Pure.

use std::borrow::Cow;

/// Why a path has no normal form. Each is answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    #[error("the path must begin with a slash")]
    NotAbsolute,
    #[error("the path holds a character that must be percent-encoded")]
    Character,
    #[error("a percent sign in the path is not followed by two hexadecimal digits")]
    Encoding,
    #[error("the path must not hold an encoded slash, backslash or control character")]
    Encoded,
    #[error("the path is not UTF-8")]
    NotUtf8,
    #[error("the path has an empty segment")]
    EmptySegment,
    #[error("a dot segment of the path has parameters")]
    DotParameters,
}

impl BadPath {
    /// A fixed word for logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotAbsolute => "NotAbsolute",
            Self::Character => "Character",
            Self::Encoding => "Encoding",
            Self::Encoded => "Encoded",
            Self::NotUtf8 => "NotUtf8",
            Self::EmptySegment => "EmptySegment",
            Self::DotParameters => "DotParameters",
        }
    }
}

/// The normal form of RFC 3986 section 6.2.2: unreserved characters decoded, hexadecimal digits in
/// capitals, dot segments removed. Case is kept, paths are case-sensitive.
///
/// Stricter than the RFC where servers are known to differ: encoded slashes, backslashes and
/// control characters, empty segments (`//`) and dot segments with parameters (`..;x`) are refused.
/// The usual path is in normal form already and is handed back as it is.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, BadPath> {
    if !path.starts_with('/') {
        return Err(BadPath::NotAbsolute);
    }
    let decoded = decode(path)?;
    let segments = &decoded[1..];
    let mut dots = false;
    let last = segments.bytes().filter(|byte| *byte == b'/').count();
    for (index, segment) in segments.split('/').enumerate() {
        if segment.is_empty() && index < last {
            return Err(BadPath::EmptySegment);
        }
        if segment.starts_with('.') {
            let (name, parameters) = segment.split_at(segment.find(';').unwrap_or(segment.len()));
            if matches!(name, "." | "..") {
                if !parameters.is_empty() {
                    return Err(BadPath::DotParameters);
                }
                dots = true;
            }
        }
    }
    if dots { Ok(without_dots(segments).into()) } else { Ok(decoded) }
}

/// Checks every character, and decodes those that need no encoding.
fn decode(path: &str) -> Result<Cow<'_, str>, BadPath> {
    let bytes = path.as_bytes();
    let Some(first) = bytes.iter().position(|byte| !is_plain(*byte)) else {
        return Ok(path.into());
    };
    let mut decoded = path[..first].to_owned();
    // What the path says, to be checked as UTF-8.
    let mut meaning = Vec::with_capacity(bytes.len());
    let mut at = first;
    while let Some(byte) = bytes.get(at) {
        if is_plain(*byte) {
            decoded.push(*byte as char);
            meaning.push(*byte);
            at += 1;
            continue;
        }
        if *byte != b'%' {
            return Err(BadPath::Character);
        }
        let byte = bytes.get(at + 1..at + 3).and_then(hexadecimal).ok_or(BadPath::Encoding)?;
        match byte {
            b'/' | b'\\' | 0..=0x1f | 0x7f => return Err(BadPath::Encoded),
            _ if is_unreserved(byte) => decoded.push(byte as char),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                decoded.push('%');
                decoded.push(DIGITS[usize::from(byte >> 4)] as char);
                decoded.push(DIGITS[usize::from(byte & 15)] as char);
            }
        }
        meaning.push(byte);
        at += 3;
    }
    std::str::from_utf8(&meaning).map_err(|_| BadPath::NotUtf8)?;
    Ok(decoded.into())
}

/// Removes `.` and `..` as RFC 3986 section 5.2.4 does; nothing is above the root.
fn without_dots(segments: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_folder = false;
    for segment in segments.split('/') {
        ends_in_folder = matches!(segment, "" | "." | "..");
        match segment {
            ".." => {
                kept.pop();
            }
            "" | "." => (),
            segment => kept.push(segment),
        }
    }
    let slash = if ends_in_folder && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

fn hexadecimal(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(pair[0])? << 4 | digit(pair[1])?)
}

/// Characters that stand for themselves in a path: `unreserved`, `sub-delims`, `:`, `@` and `/`.
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'/' | b':'
                | b'@'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_normal_form_is_not_copied() {
        for path in [
            "/",
            "/payment",
            "/payment/",
            "/orders/0190b5f2-6f0a",
            "/a/.well-known/b..c/...",
            "/a;b=c,d",
        ] {
            assert!(matches!(normalise(path), Ok(Cow::Borrowed(same)) if same == path), "{path}");
        }
    }

    #[test]
    fn one_meaning_has_one_form() {
        for (path, normal) in [
            ("/%70ayment", "/payment"),
            ("/payment/../admin", "/admin"),
            ("/payment/%2e%2e/admin", "/admin"),
            ("/payment/%2E./admin", "/admin"),
            ("/payment/.", "/payment/"),
            ("/payment/..", "/"),
            ("/a/b/..", "/a/"),
            ("/../../etc/passwd", "/etc/passwd"),
            ("/a/./b/", "/a/b/"),
            ("/a%c3%a9", "/a%C3%A9"),
            ("/a%3ab%25", "/a%3Ab%25"),
            ("/%252e%252e/admin", "/%252e%252e/admin"),
            ("/%7euser", "/~user"),
        ] {
            assert_eq!(normalise(path).as_deref(), Ok(normal), "{path}");
        }
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        for (path, why) in [
            ("", BadPath::NotAbsolute),
            ("*", BadPath::NotAbsolute),
            ("payment", BadPath::NotAbsolute),
            ("/%2e%2e%2f", BadPath::Encoded),
            ("/payment%2fverify", BadPath::Encoded),
            ("/payment%5Cverify", BadPath::Encoded),
            ("/payment%00", BadPath::Encoded),
            ("/payment%0d%0aX:", BadPath::Encoded),
            ("/payment%7f", BadPath::Encoded),
            ("/payment\\verify", BadPath::Character),
            ("/payment?", BadPath::Character),
            ("/a b", BadPath::Character),
            ("/a\"<>^`{|}[]", BadPath::Character),
            ("/é", BadPath::Character),
            ("/%", BadPath::Encoding),
            ("/%4", BadPath::Encoding),
            ("/%zz", BadPath::Encoding),
            ("/%+1", BadPath::Encoding),
            ("/%c0%ae%c0%ae/", BadPath::NotUtf8),
            ("/%ff", BadPath::NotUtf8),
            ("//payment", BadPath::EmptySegment),
            ("//", BadPath::EmptySegment),
            ("/payment//verify", BadPath::EmptySegment),
            ("/payment/..;/admin", BadPath::DotParameters),
            ("/payment/%2e%2e;x=1/admin", BadPath::DotParameters),
            ("/.;/payment", BadPath::DotParameters),
        ] {
            assert_eq!(normalise(path), Err(why), "{path}");
        }
    }

    proptest::proptest! {
        /// Normal is normal: a second look changes nothing, and nothing dangerous is left.
        #[test]
        fn normal_forms_stay(path in "/[a-c./%2ef;]{0,24}") {
            if let Ok(normal) = normalise(&path) {
                let again = normalise(&normal).map(Cow::into_owned);
                assert_eq!(again.as_deref(), Ok(&*normal));
                assert!(!normal.split('/').any(|segment| matches!(segment, "." | "..")));
                assert!(!normal.contains("//"));
            }
        }

        #[test]
        fn no_text_panics(path in "/.{0,24}") {
            let _ = normalise(&path);
        }
    }
}
