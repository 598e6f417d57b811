//! Reads variables and collects what is wrong with them.

use std::{any::TypeId, collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// Where variables come from: the environment of a process, or a map.
pub trait Source {
    fn get(&self, name: &str) -> Option<String>;
}

impl Source for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }
}

/// One wrong variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsProblem {
    pub variable: String,
    /// What is wrong and what to write instead; never the value of a secret.
    pub problem: String,
}

/// Everything that is wrong with a service's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(pub Vec<SettingsProblem>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong settings")?;
        for SettingsProblem { variable, problem } in &self.0 {
            write!(f, "\n  {variable} {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}

/// Reads variables one after the other and remembers every problem.
pub struct Reader<'a> {
    source: &'a dyn Source,
    /// The documentation of the field that is read now.
    meaning: &'static str,
    problems: Vec<SettingsProblem>,
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a dyn Source) -> Self {
        Self { source, meaning: "", problems: Vec::new() }
    }

    /// An empty variable counts as absent, as in most shells and ConfigMaps it cannot be told apart.
    pub fn raw(&self, name: &str) -> Option<String> {
        self.source.get(name).filter(|value| !value.trim().is_empty())
    }

    pub fn problem(&mut self, name: &str, problem: impl Into<String>) {
        self.problems.push(SettingsProblem { variable: name.into(), problem: problem.into() });
    }

    /// What is read next means this; people are told when they left it out.
    pub fn about(&mut self, meaning: &'static str) {
        self.meaning = meaning;
    }

    /// Notes that a variable is not there, and what to set it to.
    pub fn missing(&mut self, name: &str) {
        let meaning = self.meaning.trim();
        let sentence = meaning.split_once(". ").map_or(meaning, |(first, _)| first);
        let sentence = sentence.split_once("\n\n").map_or(sentence, |(first, _)| first);
        let sentence = sentence.trim_end_matches('.').replace('\n', " ");
        self.problem(name, format!("is missing; set it: {sentence}"));
    }

    /// A variable that must be there.
    pub fn required<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr + 'static,
        T::Err: fmt::Display,
    {
        let Some(text) = self.raw(name) else {
            self.missing(name);
            return None;
        };
        self.parse(name, &text)
    }

    /// A variable that may be absent. The outer `None` means that it is wrong.
    pub fn optional<T>(&mut self, name: &str) -> Option<Option<T>>
    where
        T: FromStr + 'static,
        T::Err: fmt::Display,
    {
        match self.raw(name) {
            Some(text) => self.parse(name, &text).map(Some),
            None => Some(None),
        }
    }

    /// A variable with a default.
    pub fn or<T>(&mut self, name: &str, default: T) -> Option<T>
    where
        T: FromStr + 'static,
        T::Err: fmt::Display,
    {
        self.optional(name).map(|value| value.unwrap_or(default))
    }

    /// A number with a default and limits, both included.
    pub fn within(&mut self, name: &str, default: u64, limits: (u64, u64)) -> Option<u64> {
        let Some(text) = self.raw(name) else { return Some(default) };
        let value = text.trim().parse().ok().filter(|value| (limits.0..=limits.1).contains(value));
        if value.is_none() {
            let (least, most) = limits;
            let text = text.trim();
            self.problem(name, format!("is {text:?}; write a whole number, {least} to {most}"));
        }
        value
    }

    /// `true` or `false`, with a default.
    pub fn flag(&mut self, name: &str, default: bool) -> Option<bool> {
        self.or(name, default)
    }

    /// A path that must be given. Whether it can be read is checked when it is.
    pub fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.required::<String>(name).map(PathBuf::from)
    }

    pub fn optional_path(&mut self, name: &str) -> Option<PathBuf> {
        self.raw(name).map(PathBuf::from)
    }

    /// Values separated by commas, blanks around them ignored.
    pub fn list<T>(&mut self, name: &str) -> Option<Vec<T>>
    where
        T: FromStr + 'static,
        T::Err: fmt::Display,
    {
        let text = self.raw(name).unwrap_or_default();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| self.parse(name, part)).collect()
    }

    fn parse<T>(&mut self, name: &str, text: &str) -> Option<T>
    where
        T: FromStr + 'static,
        T::Err: fmt::Display,
    {
        let text = text.trim();
        match text.parse() {
            Ok(value) => return Some(value),
            Err(error) => match form::<T>() {
                Some(form) => self.problem(name, format!("is {text:?}; write {form}")),
                None => self.problem(name, format!("is wrong: {error}")),
            },
        }
        None
    }

    /// The settings, or all the problems. `settings` is `None` only after a problem was noted.
    pub fn finish<T>(self, settings: Option<T>) -> Result<T, SettingsError> {
        match settings {
            Some(settings) if self.problems.is_empty() => Ok(settings),
            _ => Err(SettingsError(self.problems)),
        }
    }
}

/// What to write for a type whose own errors are for programmers.
fn form<T: 'static>() -> Option<&'static str> {
    let forms = [
        (TypeId::of::<bool>(), "true or false"),
        (TypeId::of::<u16>(), "a port, 1 to 65535"),
        (TypeId::of::<SocketAddr>(), "ADDRESS:PORT, such as 0.0.0.0:8080"),
    ];
    forms.into_iter().find(|(id, _)| *id == TypeId::of::<T>()).map(|(_, form)| form)
}
