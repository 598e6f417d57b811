//! Stripe's form encoding: `line_items[0][price_data][currency]=inr` read into nested maps.
//! Knows nothing of what the fields mean. (<https://docs.stripe.com/api>, "form-encoded bodies")

use std::collections::BTreeMap;

use super::error::StripeError;

/// Most pairs of one request: 100 lines of 15 fields leave room.
const PAIRS_MAX: usize = 4_000;
/// Deepest nesting; Stripe's own requests need five.
const DEPTH_MAX: usize = 10;

/// A value, or what stands in brackets behind a name. Lists are maps of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Text(String),
    Map(BTreeMap<String, Node>),
}

impl Default for Node {
    fn default() -> Self {
        Self::Map(BTreeMap::new())
    }
}

impl Node {
    pub fn get(&self, name: &str) -> Option<&Node> {
        match self {
            Self::Map(fields) => fields.get(name),
            Self::Text(_) => None,
        }
    }

    /// One text for equal parameters in whatever order they were sent.
    pub fn canonical(&self) -> String {
        let mut pairs = Vec::new();
        flatten(self, &mut String::new(), &mut pairs);
        pairs.join("&")
    }
}

fn flatten(node: &Node, path: &mut String, pairs: &mut Vec<String>) {
    match node {
        Node::Text(text) => pairs.push(format!("{path}={}", encoded(text))),
        Node::Map(fields) => {
            for (name, field) in fields {
                let length = path.len();
                path.extend(["[", &encoded(name), "]"]);
                flatten(field, path, pairs);
                path.truncate(length);
            }
        }
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Reads a query or a body.
pub fn parse(encoded: &[u8]) -> Result<Node, StripeError> {
    let mut root = Node::default();
    let pairs = encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    for (count, pair) in pairs.enumerate() {
        if count == PAIRS_MAX {
            return Err(StripeError::invalid(format!("More than {PAIRS_MAX} parameters.")));
        }
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = decode(halves.next().unwrap_or_default())?;
        let value = decode(halves.next().unwrap_or_default())?;
        insert(&mut root, &name, value)?;
    }
    Ok(root)
}

fn decode(encoded: &[u8]) -> Result<String, StripeError> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                bytes.push(hex_digit(*high) * 16 + hex_digit(*low));
                rest = after;
            }
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| StripeError::invalid("Invalid request: a parameter is no valid UTF-8."))
}

fn hex_digit(letter: u8) -> u8 {
    match letter {
        b'0'..=b'9' => letter - b'0',
        _ => letter.to_ascii_lowercase() - b'a' + 10,
    }
}

fn insert(root: &mut Node, name: &str, value: String) -> Result<(), StripeError> {
    let keys = keys(name)?;
    let mut node = root;
    for key in keys {
        let Node::Map(fields) = node else {
            return Err(conflict(name));
        };
        // `list[]=` appends.
        let key = if key.is_empty() { fields.len().to_string() } else { key.to_owned() };
        node = fields.entry(key).or_default();
    }
    match node {
        // A name given twice: the last counts, as in Rack, which Stripe's behaviour follows.
        Node::Text(old) => *old = value,
        Node::Map(fields) if fields.is_empty() => *node = Node::Text(value),
        Node::Map(_) => return Err(conflict(name)),
    }
    Ok(())
}

fn conflict(name: &str) -> StripeError {
    StripeError::invalid(format!("Invalid request: {name} is both a value and a hash.")).param(name)
}

/// `a[b][]` is `a`, `b` and the empty text.
fn keys(name: &str) -> Result<Vec<&str>, StripeError> {
    let malformed = || StripeError::invalid(format!("Invalid parameter name: {name}")).param(name);
    let (first, mut rest) = name.split_at(name.find('[').unwrap_or(name.len()));
    if first.is_empty() {
        return Err(malformed());
    }
    let mut keys = vec![first];
    while let Some(inner) = rest.strip_prefix('[') {
        let (key, after) = inner.split_once(']').ok_or_else(malformed)?;
        keys.push(key);
        if keys.len() > DEPTH_MAX {
            return Err(malformed());
        }
        rest = after;
    }
    if rest.is_empty() { Ok(keys) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(encoded: &str) -> String {
        match parse(encoded.as_bytes()) {
            Ok(node) => node.canonical(),
            Err(error) => format!("refused: {error}"),
        }
    }

    #[test]
    fn brackets_become_maps() {
        assert_eq!(
            shown("line_items[0][price_data][currency]=inr&line_items[0][quantity]=2&mode=payment"),
            "[line_items][0][price_data][currency]=inr&[line_items][0][quantity]=2&[mode]=payment"
        );
        assert_eq!(shown("expand[]=a&expand[]=b"), "[expand][0]=a&[expand][1]=b");
        assert_eq!(shown("a%5Bb%5D=%E2%82%B9+1%2B1"), "[a][b]=%E2%82%B9+1%2B1");
        assert_eq!(shown("a=1&a=2&empty="), "[a]=2&[empty]=");
        assert_eq!(shown(""), "");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!(
            shown("a=1&a[b]=2"),
            "refused: Invalid request: a[b] is both a value and a hash."
        );
        assert_eq!(shown("a[b]=1&a=2"), "refused: Invalid request: a is both a value and a hash.");
        assert_eq!(shown("a[b=1"), "refused: Invalid parameter name: a[b");
        assert_eq!(shown("a[b]c=1"), "refused: Invalid parameter name: a[b]c");
        assert_eq!(shown("[a]=1"), "refused: Invalid parameter name: [a]");
        assert_eq!(shown("a=%ff"), "refused: Invalid request: a parameter is no valid UTF-8.");
        assert!(shown(&format!("a{}=1", "[b]".repeat(10_000))).starts_with("refused"));
        assert!(shown(&"a=1&".repeat(5_000)).starts_with("refused"));
    }

    fn any_node() -> impl Strategy<Value = Node> {
        let key = "[a-z_0-9]{1,8}";
        let leaf = any::<String>().prop_map(Node::Text);
        let tree = leaf.prop_recursive(4, 40, 5, move |inner| {
            prop::collection::btree_map(key, inner, 1..5).prop_map(Node::Map)
        });
        prop::collection::btree_map("[a-z_]{1,8}", tree, 0..6).prop_map(Node::Map)
    }

    fn encode(node: &Node, path: &str, pairs: &mut Vec<String>) {
        match node {
            Node::Text(text) => {
                pairs.push(format!("{path}={}", encoded(text)));
            }
            Node::Map(fields) => {
                for (name, field) in fields {
                    let path =
                        if path.is_empty() { name.clone() } else { format!("{path}[{name}]") };
                    encode(field, &path, pairs);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read_back(node in any_node()) {
            let mut pairs = Vec::new();
            encode(&node, "", &mut pairs);
            prop_assert_eq!(parse(pairs.join("&").as_bytes()), Ok(node));
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn the_order_of_parameters_does_not_matter(node in any_node(), seed in any::<u64>()) {
            let mut pairs = Vec::new();
            encode(&node, "", &mut pairs);
            fastrand::Rng::with_seed(seed).shuffle(&mut pairs);
            let shuffled = parse(pairs.join("&").as_bytes()).unwrap();
            prop_assert_eq!(shuffled.canonical(), node.canonical());
        }
    }
}
