//! Record headers as one text column: `[["ce_id","…"],["blob",{"hex":"00ff"}],["flag",null]]`. Order
//! and repetitions are kept, bytes that are no text survive, and people can read it.

use serde_json::{Value, json};

/// Headers of a record, in order. A header may have no value.
pub type Headers = Vec<(String, Option<Vec<u8>>)>;

pub fn encode(headers: &Headers) -> String {
    let list = headers.iter().map(|(name, value)| {
        let value = match value {
            None => Value::Null,
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(_) => json!({ "hex": to_hex(bytes) }),
            },
        };
        json!([name, value])
    });
    Value::Array(list.collect()).to_string()
}

/// The headers of a row. What we wrote ourselves is always read; anything else gives no headers.
pub fn decode(text: &str) -> Headers {
    let list: Vec<(String, Value)> = serde_json::from_str(text).unwrap_or_default();
    list.into_iter()
        .map(|(name, value)| {
            let value = match &value {
                Value::String(text) => Some(text.clone().into_bytes()),
                Value::Object(object) => {
                    object.get("hex").and_then(Value::as_str).and_then(from_hex)
                }
                _ => None,
            };
            (name, value)
        })
        .collect()
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    digits?.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair.get(1)?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_repetition_and_bytes_survive() {
        let headers: Headers = vec![
            ("ce_id".into(), Some(b"a\"\0b".to_vec())),
            ("x".into(), None),
            ("x".into(), Some(vec![0, 255, 16])),
            ("x".into(), Some(Vec::new())),
        ];
        let text = encode(&headers);
        assert_eq!(text, r#"[["ce_id","a\"\u0000b"],["x",null],["x",{"hex":"00ff10"}],["x",""]]"#);
        assert_eq!(decode(&text), headers);
        assert_eq!(decode("nonsense"), Headers::new());
    }
}
