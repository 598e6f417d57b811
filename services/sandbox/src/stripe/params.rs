//! Typed access to the parameters of a request: every refusal names the parameter as Stripe does.

use std::collections::BTreeMap;

use super::{error::StripeError, form::Node};

/// A parameter that may be absent, with the path that an error names.
#[derive(Debug, Clone)]
pub struct Param<'a> {
    node: Option<&'a Node>,
    path: String,
}

impl<'a> Param<'a> {
    /// The parameter `name` of a whole request.
    pub fn of(root: &'a Node, name: &str) -> Self {
        Self { node: root.get(name), path: name.to_owned() }
    }

    /// What stands in brackets behind this one.
    pub fn child(&self, name: &str) -> Param<'a> {
        Param {
            node: self.node.and_then(|node| node.get(name)),
            path: format!("{}[{name}]", self.path),
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn is_given(&self) -> bool {
        self.node.is_some()
    }

    /// A text; an empty one is refused, as Stripe takes it for an attempt to unset.
    pub fn text(&self) -> Result<Option<&'a str>, StripeError> {
        match self.node {
            None => Ok(None),
            Some(Node::Text(text)) if text.is_empty() => Err(self.empty()),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(Node::Map(_)) => Err(self.invalid("Invalid string: a hash was given.")),
        }
    }

    pub fn required(&self) -> Result<&'a str, StripeError> {
        self.text()?.ok_or_else(|| StripeError::missing(&self.path))
    }

    /// A text of at most `most` characters.
    pub fn short_text(&self, most: usize) -> Result<Option<&'a str>, StripeError> {
        let text = self.text()?;
        match text.map(|text| text.chars().count()) {
            Some(length) if length > most => Err(self
                .invalid(format!("Invalid string: must be at most {most} characters"))
                .code("parameter_invalid_string_length")),
            _ => Ok(text),
        }
    }

    pub fn integer(&self) -> Result<Option<i64>, StripeError> {
        let Some(text) = self.text()? else { return Ok(None) };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self
                .invalid(format!("Invalid integer: {text}"))
                .code("parameter_invalid_integer")),
        }
    }

    /// A whole number between two limits, both included.
    pub fn integer_within(&self, least: i64, most: i64) -> Result<Option<i64>, StripeError> {
        let number = self.integer()?;
        let problem = match number {
            Some(number) if number < least => format!("greater than or equal to {least}"),
            Some(number) if number > most => format!("less than or equal to {most}"),
            _ => return Ok(number),
        };
        Err(self
            .invalid(format!("This value must be {problem}."))
            .code("parameter_invalid_integer"))
    }

    pub fn boolean(&self) -> Result<Option<bool>, StripeError> {
        match self.text()? {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(self.invalid(format!("Invalid boolean: {other}"))),
        }
    }

    /// The members of a list, in order.
    pub fn items(&self) -> Result<Vec<Param<'a>>, StripeError> {
        let fields = match self.node {
            None => return Ok(Vec::new()),
            Some(Node::Text(_)) => return Err(self.invalid("Invalid array")),
            Some(Node::Map(fields)) => fields,
        };
        let mut items = Vec::with_capacity(fields.len());
        for (name, node) in fields {
            let index: u32 = name.parse().map_err(|_| self.invalid("Invalid array"))?;
            items.push((index, Param { node: Some(node), path: format!("{}[{name}]", self.path) }));
        }
        items.sort_by_key(|(index, _)| *index);
        Ok(items.into_iter().map(|(_, item)| item).collect())
    }

    /// The names and texts of a hash. Empty texts are kept: whoever asks decides about them.
    pub fn texts(&self) -> Result<BTreeMap<String, String>, StripeError> {
        match self.node {
            None => Ok(BTreeMap::new()),
            // `metadata=` is how clients send an empty hash.
            Some(Node::Text(text)) if text.is_empty() => Ok(BTreeMap::new()),
            Some(Node::Text(_)) => Err(self.invalid("Invalid hash")),
            Some(Node::Map(fields)) => fields
                .iter()
                .map(|(name, node)| match node {
                    Node::Text(text) => Ok((name.clone(), text.clone())),
                    Node::Map(_) => Err(self.child(name).invalid("Invalid string")),
                })
                .collect(),
        }
    }

    /// Refuses every field but these.
    pub fn only(&self, known: &[&str]) -> Result<(), StripeError> {
        match self.node {
            Some(Node::Map(fields)) => match fields.keys().find(|n| !known.contains(&n.as_str())) {
                Some(name) => Err(unknown(&self.child(name).path)),
                None => Ok(()),
            },
            Some(Node::Text(_)) => Err(self.invalid("Invalid hash")),
            None => Ok(()),
        }
    }

    pub fn invalid(&self, message: impl Into<String>) -> StripeError {
        StripeError::invalid(message).param(&self.path)
    }

    fn empty(&self) -> StripeError {
        let path = &self.path;
        self.invalid(format!(
            "You passed an empty string for '{path}'. We assume empty values are an attempt to \
             unset a parameter; however '{path}' cannot be unset. You should remove '{path}' from \
             your request or supply a non-empty value."
        ))
        .code("parameter_invalid_empty")
    }
}

/// A parameter that Stripe does not know, or that this request does not have.
pub fn unknown(path: &str) -> StripeError {
    StripeError::invalid(format!("Received unknown parameter: {path}"))
        .code("parameter_unknown")
        .param(path)
}
