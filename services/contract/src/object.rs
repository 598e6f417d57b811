//! JSON objects that are read from nothing else: for a struct serde takes an array of its values, too, in
//! the order in which they are declared, which no published schema has.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// What stands in an object.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
    }
}

/// Reads a list of objects, for `#[serde(deserialize_with)]`.
pub fn objects<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|Object(value)| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Cart {
        #[serde(deserialize_with = "objects")]
        lines: Vec<Line>,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Line {
        quantity: u32,
    }

    #[test]
    fn an_array_is_no_object() {
        let read = |json: &str| serde_json::from_str(json).map(|Object(cart): Object<Cart>| cart);
        let cart = Cart { lines: vec![Line { quantity: 2 }] };
        assert_eq!(read(r#"{"lines": [{"quantity": 2}]}"#).unwrap(), cart);
        for array in [r#"[[{"quantity": 2}]]"#, r#"{"lines": [[2]]}"#] {
            let error = read(array).unwrap_err().to_string();
            assert!(error.starts_with("invalid type: sequence, expected an object"), "{error}");
        }
    }
}
