//! Settings are declared once: from a field's line come its name, default and limits, how it is read and
//! written, and its entry in `docs/settings.md`.

use std::{
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
};

use url::Url;

use super::{Reader, Variables};

/// A part of a service's settings, or all of them. [`section!`](crate::section) writes it.
pub trait Section: Sized {
    /// `None` only after a problem was noted.
    fn read_from(reader: &mut Reader<'_>) -> Option<Self>;

    /// A default is written out too, so that a pod's settings can be seen without knowing the program's
    /// version.
    fn write_to(&self, variables: &mut Variables);

    fn describe(list: &mut Vec<Variable>);
}

/// One variable, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    pub meaning: String,
    pub need: Need,
    /// Smallest and largest number.
    pub limits: Option<RangeInclusive<u64>>,
}

/// What is so when a variable is absent or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The service does not start.
    Required,
    /// It is as if this had been written.
    Default(String),
    /// There is none.
    Optional,
}

/// How a field is read and written: the variables behind it.
pub trait Field<T> {
    /// `None` only after a problem was noted.
    fn read(&self, reader: &mut Reader<'_>) -> Option<T>;

    fn write(&self, value: &T, variables: &mut Variables);

    /// `meaning` is the field's documentation.
    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>);
}

/// Declares a struct of settings: each field with its documentation and its [`Field`].
#[macro_export]
macro_rules! section {
    (
        $(#[$outer:meta])*
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])* pub $field:ident: $type:ty = $how:expr, )*
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $( $(#[doc = $doc])* pub $field: $type, )* }

        impl $crate::settings::Section for $name {
            fn read_from(reader: &mut $crate::settings::Reader<'_>) -> Option<Self> {
                // All are read before the first that is wrong ends it: every problem is told.
                $(
                    reader.about(concat!($($doc),*));
                    let $field = $crate::settings::Field::<$type>::read(&$how, reader);
                )*
                Some(Self { $( $field: $field?, )* })
            }

            fn write_to(&self, variables: &mut $crate::settings::Variables) {
                $( $crate::settings::Field::<$type>::write(&$how, &self.$field, variables); )*
            }

            fn describe(list: &mut Vec<$crate::settings::Variable>) {
                $( $crate::settings::Field::<$type>::describe(&$how, concat!($($doc),*), list); )*
            }
        }
    };
}

fn variable(name: &'static str, meaning: &str, need: Need) -> Variable {
    Variable { name, meaning: meaning.trim().to_owned(), need, limits: None }
}

/// A section within a section.
pub struct Part;

impl<S: Section> Field<S> for Part {
    fn read(&self, reader: &mut Reader<'_>) -> Option<S> {
        S::read_from(reader)
    }

    fn write(&self, value: &S, variables: &mut Variables) {
        value.write_to(variables);
    }

    fn describe(&self, _: &'static str, list: &mut Vec<Variable>) {
        S::describe(list);
    }
}

/// A value that must be there.
pub struct Required(pub &'static str);

impl<T: FromStr<Err: Display> + Display + 'static> Field<T> for Required {
    fn read(&self, reader: &mut Reader<'_>) -> Option<T> {
        reader.required(self.0)
    }

    fn write(&self, value: &T, variables: &mut Variables) {
        variables.insert(self.0.into(), value.to_string());
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        list.push(variable(self.0, meaning, Need::Required));
    }
}

/// A value with a default.
pub struct Or<T>(pub &'static str, pub T);

impl<T: FromStr<Err: Display> + Display + Clone + 'static> Field<T> for Or<T> {
    fn read(&self, reader: &mut Reader<'_>) -> Option<T> {
        reader.or(self.0, self.1.clone())
    }

    fn write(&self, value: &T, variables: &mut Variables) {
        variables.insert(self.0.into(), value.to_string());
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        list.push(variable(self.0, meaning, Need::Default(self.1.to_string())));
    }
}

/// A value that may be absent.
pub struct Optional(pub &'static str);

impl<T: FromStr<Err: Display> + Display + 'static> Field<Option<T>> for Optional {
    fn read(&self, reader: &mut Reader<'_>) -> Option<Option<T>> {
        reader.optional(self.0)
    }

    fn write(&self, value: &Option<T>, variables: &mut Variables) {
        variables.extend(value.as_ref().map(|value| (self.0.to_owned(), value.to_string())));
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        list.push(variable(self.0, meaning, Need::Optional));
    }
}

/// A number with a default and limits, both included.
pub struct Within(pub &'static str, pub u64, pub RangeInclusive<u64>);

impl<T: Copy + TryFrom<u64> + Into<u64>> Field<T> for Within {
    fn read(&self, reader: &mut Reader<'_>) -> Option<T> {
        let Self(name, default, limits) = self;
        let value = reader.within(name, *default, (*limits.start(), *limits.end()))?;
        value.try_into().ok()
    }

    fn write(&self, value: &T, variables: &mut Variables) {
        variables.insert(self.0.into(), Into::<u64>::into(*value).to_string());
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        let mut variable = variable(self.0, meaning, Need::Default(self.1.to_string()));
        variable.limits = Some(self.2.clone());
        list.push(variable);
    }
}

/// Values separated by commas; none when absent.
pub struct List(pub &'static str);

impl<T: FromStr<Err: Display> + Display + 'static> Field<Vec<T>> for List {
    fn read(&self, reader: &mut Reader<'_>) -> Option<Vec<T>> {
        reader.list(self.0)
    }

    fn write(&self, value: &Vec<T>, variables: &mut Variables) {
        let texts: Vec<_> = value.iter().map(ToString::to_string).collect();
        variables.insert(self.0.into(), texts.join(","));
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        list.push(variable(self.0, meaning, Need::Optional));
    }
}

/// The path of a file or folder, which must be given. Whether it can be read is checked when it is.
pub struct File(pub &'static str);

impl Field<PathBuf> for File {
    fn read(&self, reader: &mut Reader<'_>) -> Option<PathBuf> {
        reader.path(self.0)
    }

    fn write(&self, value: &PathBuf, variables: &mut Variables) {
        put_path(variables, self.0, value);
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        list.push(variable(self.0, meaning, Need::Required));
    }
}

/// The path of a file or folder that may be absent.
pub struct OptionalFile(pub &'static str);

impl Field<Option<PathBuf>> for OptionalFile {
    fn read(&self, reader: &mut Reader<'_>) -> Option<Option<PathBuf>> {
        Some(reader.optional_path(self.0))
    }

    fn write(&self, value: &Option<PathBuf>, variables: &mut Variables) {
        if let Some(path) = value {
            put_path(variables, self.0, path);
        }
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        list.push(variable(self.0, meaning, Need::Optional));
    }
}

/// An `http` or `https` URL, with a default or none.
pub struct HttpUrl(pub &'static str, pub Option<&'static str>);

impl Field<Url> for HttpUrl {
    fn read(&self, reader: &mut Reader<'_>) -> Option<Url> {
        let Self(name, default) = self;
        let Some(text) = reader.raw(name).or_else(|| default.map(str::to_owned)) else {
            reader.missing(name);
            return None;
        };
        http_url(reader, name, &text)
    }

    fn write(&self, value: &Url, variables: &mut Variables) {
        variables.insert(self.0.into(), value.to_string());
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        let need = self.1.map_or(Need::Required, |default| Need::Default(default.into()));
        list.push(variable(self.0, meaning, need));
    }
}

/// An `http` or `https` URL that may be absent.
pub struct OptionalHttpUrl(pub &'static str);

impl Field<Option<Url>> for OptionalHttpUrl {
    fn read(&self, reader: &mut Reader<'_>) -> Option<Option<Url>> {
        match reader.raw(self.0) {
            Some(text) => http_url(reader, self.0, &text).map(Some),
            None => Some(None),
        }
    }

    fn write(&self, value: &Option<Url>, variables: &mut Variables) {
        variables.extend(value.as_ref().map(|url| (self.0.to_owned(), url.to_string())));
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        list.push(variable(self.0, meaning, Need::Optional));
    }
}

fn http_url(reader: &mut Reader<'_>, name: &str, text: &str) -> Option<Url> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
        _ => {
            reader.problem(name, format!("is {text:?}; write http://HOST:PORT or https://HOST"));
            None
        }
    }
}

pub(super) fn put_path(variables: &mut Variables, name: &str, path: &Path) {
    variables.insert(name.to_owned(), path.to_string_lossy().into_owned());
}
