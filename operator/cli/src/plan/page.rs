//! A plan as a page for people, in the manner of a diff. Pure.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use storefront_inspect::tame;
use storefront_operator::api::KIND;

use super::{
    change::{Action, Change},
    difference::Difference,
    story::Story,
    topics::{TopicAction, TopicLine},
};
use crate::{
    terminal::{Terminal, Tone},
    text::wrapped,
    words,
};

/// Lines around a changed line of a text that are shown with it.
const AROUND: usize = 1;

pub fn text(story: &Story, terminal: Terminal) -> String {
    let page = Page { terminal, story };
    let mut sections = vec![page.head()];
    sections.push(page.refused());
    sections.push(page.changes());
    sections.push(page.topics());
    sections.push(page.costs());
    sections.push(page.list("Note", Tone::Warning, &story.notes));
    sections.push(page.list("Known from", Tone::Dim, &story.sources));
    sections.push(page.list("Not looked at", Tone::Warning, &story.not_looked_at));
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

struct Page<'a> {
    terminal: Terminal,
    story: &'a Story,
}

impl Page<'_> {
    fn head(&self) -> String {
        let story = self.story;
        let count = |action: Action| story.changes.iter().filter(|it| it.action == action).count();
        let topics =
            |action: TopicAction| story.topics.iter().filter(|it| it.action == action).count();
        let said = if story.is_refused() {
            "refused: the shop would stay as it is".to_owned()
        } else if story.changes_something() {
            let counted = [
                (count(Action::Create), "to create"),
                (count(Action::Change), "to change"),
                (count(Action::Replace), "to make anew"),
                (count(Action::Delete), "to delete"),
                (topics(TopicAction::Create), "topics to create"),
                (topics(TopicAction::Grow), "topics to grow"),
                (topics(TopicAction::Configure), "settings of topics to change"),
            ];
            let counted = counted.iter().filter(|(count, _)| *count > 0);
            counted.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
        } else {
            "no difference: the cluster has what the manifest says".to_owned()
        };
        let name = self.terminal.paint(Tone::Strong, &story.name);
        format!("{name} in {}: {said}\n", story.namespace)
    }

    fn refused(&self) -> String {
        let mut text = String::new();
        for why in &self.story.refused {
            text.push_str(&self.toned(Tone::Bad, &wrapped(why, 2, self.terminal.width)));
        }
        text
    }

    fn toned(&self, tone: Tone, lines: &str) -> String {
        let lines = lines.lines().map(|line| self.terminal.paint(tone, line));
        lines.flat_map(|line| [line, "\n".to_owned()]).collect()
    }

    fn changes(&self) -> String {
        let (mut text, changes) = (String::new(), &self.story.changes);
        let is_whole = |it: &&Change| it.action == Action::Change && it.kind == KIND;
        text.extend(changes.iter().filter(is_whole).map(|change| self.change(change)));
        text.push_str(&self.by_kind(Action::Create));
        let others = changes.iter().filter(|it| !is_whole(it) && (is_one(it) || it.note.is_some()));
        text.extend(others.map(|change| self.change(change)));
        text.push_str(&self.by_kind(Action::Delete));
        text
    }

    /// What is made or goes, and has no more told of it: a line for each kind, in the operator's order.
    fn by_kind(&self, action: Action) -> String {
        let (sign, tone) = sign(action);
        let mut kinds: Vec<(&str, Vec<&str>)> = Vec::new();
        let plain = |it: &&Change| it.action == action && it.note.is_none();
        for change in self.story.changes.iter().filter(plain) {
            match kinds.iter_mut().find(|(kind, _)| *kind == change.kind) {
                Some((_, names)) => names.push(&change.name),
                None => kinds.push((&change.kind, vec![&change.name])),
            }
        }
        let lines = kinds.into_iter().map(|(kind, names)| {
            wrapped(&format!("{kind} {}", names.join(", ")), 2, self.terminal.width)
        });
        lines.map(|lines| self.toned(tone, &lines.replacen(' ', sign, 1))).collect()
    }

    fn change(&self, change: &Change) -> String {
        let (sign, tone) = sign(change.action);
        let title = format!("{sign} {} {}", change.kind, change.name);
        let mut text = self.terminal.paint(tone, &tame(&title));
        let restart = change.restart.as_ref().map(|restart| restart.how.words().to_owned());
        let said: Vec<_> = restart.into_iter().chain(change.note.clone()).collect();
        if !said.is_empty() {
            let _ = write!(text, ": {}", said.join("; "));
        }
        text.push('\n');
        for difference in &change.differences {
            text.push_str(&self.difference(difference));
        }
        text
    }

    fn difference(&self, difference: &Difference) -> String {
        let Difference { path, before, after } = difference;
        match (before, after) {
            (Some(before), Some(after)) if before == after => {
                let line = format!("  ~ {}", shown(path, before));
                return self.toned(Tone::Warning, &line);
            }
            (Some(before), Some(after)) if is_long(before) && is_long(after) => {
                return self.lines(path, &lines_of(before), &lines_of(after));
            }
            _ => {}
        }
        let mut text = String::new();
        for (sign, tone, value) in [('-', Tone::Bad, before), ('+', Tone::Good, after)] {
            let Some(value) = value else { continue };
            let lines = shown(path, value);
            let lines = lines.lines().map(|line| format!("  {sign} {}\n", tame(line)));
            text.push_str(&self.toned(tone, &lines.collect::<String>()));
        }
        text
    }

    /// Two texts of several lines, by what differs of them.
    fn lines(&self, path: &str, before: &str, after: &str) -> String {
        let mut text = format!("    {path}:\n");
        let diff = TextDiff::from_lines(before, after);
        for group in diff.grouped_ops(AROUND) {
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let (sign, tone) = match change.tag() {
                    ChangeTag::Delete => ('-', Tone::Bad),
                    ChangeTag::Insert => ('+', Tone::Good),
                    ChangeTag::Equal => (' ', Tone::Dim),
                };
                let line = format!("  {sign}   {}", tame(change.value().trim_end()));
                let _ = writeln!(text, "{}", self.terminal.paint(tone, &line));
            }
        }
        text
    }

    fn topics(&self) -> String {
        let mut text = String::new();
        // Topics of a shop are alike: those that have the same told of them share a line.
        let mut told: Vec<(TopicAction, &str, Vec<&str>)> = Vec::new();
        for TopicLine { action, topic, message } in &self.story.topics {
            match told.iter_mut().find(|(a, m, _)| (a, *m) == (action, message.as_str())) {
                Some((_, _, topics)) => topics.push(topic),
                None => told.push((*action, message, vec![topic])),
            }
        }
        for (action, message, topics) in told {
            let (sign, tone) = match action {
                TopicAction::Create => ("+", Tone::Good),
                TopicAction::Grow | TopicAction::Configure => ("~", Tone::Warning),
                TopicAction::Keep => ("=", Tone::Dim),
            };
            let word = if topics.len() == 1 { "topic" } else { "topics" };
            let names = format!("{word} {}: {message}", topics.join(", "));
            let lines = wrapped(&names, 2, self.terminal.width);
            text.push_str(&self.toned(tone, &lines.replacen(' ', sign, 1)));
        }
        text
    }

    /// Who restarts, by what happens meanwhile.
    fn costs(&self) -> String {
        let mut by_meanwhile: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let restarts = self.story.changes.iter().filter_map(|change| change.restart.as_ref());
        let mut count = 0;
        for restart in restarts {
            by_meanwhile.entry(&restart.meanwhile).or_default().push(&restart.component);
            count += 1;
        }
        let lines = by_meanwhile
            .into_iter()
            .map(|(meanwhile, parts)| format!("{}: {meanwhile}", parts.join(", ")));
        let title = format!("{} restarts", words::count(count, "part"));
        let title = if count == 1 { title } else { title.replace("restarts", "restart") };
        self.list(&title, Tone::Warning, &lines.collect::<Vec<_>>())
    }

    fn list(&self, title: &str, tone: Tone, lines: &[String]) -> String {
        if lines.is_empty() {
            return String::new();
        }
        let lines = lines.iter().map(|line| wrapped(line, 2, self.terminal.width));
        format!("{}\n{}", self.terminal.paint(tone, title), lines.collect::<String>())
    }
}

/// Told one by one.
const fn is_one(change: &Change) -> bool {
    matches!(change.action, Action::Change | Action::Replace | Action::Keep)
}

/// It takes more than a line.
fn is_long(value: &Value) -> bool {
    value.is_object() || value.is_array() || value.as_str().is_some_and(|text| text.contains('\n'))
}

fn lines_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_yaml::to_string(other).unwrap_or_default(),
    }
}

const fn sign(action: Action) -> (&'static str, Tone) {
    match action {
        Action::Create => ("+", Tone::Good),
        Action::Change => ("~", Tone::Warning),
        Action::Replace => ("!", Tone::Bad),
        Action::Delete => ("-", Tone::Bad),
        Action::Keep => ("=", Tone::Dim),
    }
}

/// A value behind its path: on one line, or as YAML below it.
fn shown(path: &str, value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => {
            let yaml = lines_of(value);
            let lines = yaml.lines().map(|line| format!("  {line}\n"));
            format!("{path}:\n{}", lines.collect::<String>())
        }
        Value::String(text) => format!("{path}: {text}"),
        other => format!("{path}: {other}"),
    }
}
