//! How large a file is once its aliases are written out. A few lines of YAML may stand for gigabytes, which has to be known
//! before anything of them is kept. Keeps nothing itself.

use std::{cell::Cell, fmt};

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// Whether all documents of a file have at most so many bytes: texts as long as they are, and one for everything else. A
/// file that is no YAML is not told here.
pub(super) fn is_within(text: &str, bytes_max: usize) -> bool {
    // Nothing else is larger than it is written.
    if !text.contains('*') {
        return true;
    }
    let measure = Measure { left: &Cell::new(Some(bytes_max)) };
    for document in serde_yaml::Deserializer::from_str(text) {
        let read = measure.deserialize(document);
        if measure.left.get().is_none() {
            return false;
        }
        if read.is_err() {
            break;
        }
    }
    true
}

/// Counts down, and fails at the end.
#[derive(Clone, Copy)]
struct Measure<'a> {
    /// `None`: more than there was.
    left: &'a Cell<Option<usize>>,
}

impl Measure<'_> {
    fn take<E: Error>(self, bytes: usize) -> Result<(), E> {
        self.left.set(self.left.get().and_then(|left| left.checked_sub(bytes.max(1))));
        self.left.get().map(drop).ok_or_else(|| E::custom("too large"))
    }
}

impl<'de> DeserializeSeed<'de> for Measure<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Measure<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.take(1)?;
        while map.next_key_seed(self)?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.take(1)?;
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    /// A value with a tag.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let ((), value) = tagged.variant_seed(self)?;
        value.newtype_variant_seed(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.take(text.len())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.take(1)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.take(1)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.take(1)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.take(1)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.take(1)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.take(1)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.take(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aliases_stand_for_is_counted() {
        let text = "a: &long 123456789x\nb: [*long, *long]\n---\nc: !tag {d: [1, true, ~, 99999999999999999999]}\n";
        // Two maps, a list, three keys and one value that is there three times; then two maps, a tag and the rest.
        let bytes = (1 + 1 + 10 + 1 + 1 + 20) + (1 + 1 + 3 + 1 + 1 + 1 + 4);
        assert!(is_within(text, bytes));
        assert!(!is_within(text, bytes - 1));
    }

    #[test]
    fn few_lines_that_stand_for_very_many_are_not_read_to_their_end() {
        let lines = (0..12).map(|n| {
            let before = if n == 0 { "x".to_owned() } else { format!("*a{}", n - 1) };
            format!("a{n}: &a{n} [{}]\n", format!("{before}, ").repeat(10))
        });
        // Later the parser gives up by itself: a file may name its aliases only so often.
        assert!(!is_within(&lines.collect::<String>(), 1 << 10));
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(1 << 18));
        assert!(!is_within(&long, 3 << 20));
    }
}
