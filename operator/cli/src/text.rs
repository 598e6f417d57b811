//! Sentences as lines. Pure.

use storefront_inspect::tame;
use unicode_width::UnicodeWidthStr as _;

/// Lines that are longer are hard to read, however wide a window is.
const WIDEST: usize = 100;

/// A sentence in lines that fit, each moved in by so much; nothing for an empty one.
pub fn wrapped(sentence: &str, indent: usize, room: Option<usize>) -> String {
    let room = room.unwrap_or(WIDEST).min(WIDEST);
    let mut lines: Vec<String> = Vec::new();
    for paragraph in sentence.lines().map(tame) {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && indent + line.width() + 1 + word.width() > room {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.extend((!line.is_empty()).then_some(line));
    }
    let indent = " ".repeat(indent);
    lines.iter().flat_map(|line| [&indent, line.as_str(), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_broken_between_words() {
        let text = "one two three\nlooooooooooooooooooong four";
        insta::assert_snapshot!(wrapped(text, 2, Some(12)), @r"
          one two
          three
          looooooooooooooooooong
          four
        ");
        assert_eq!(wrapped("", 2, None), "");
        assert_eq!(wrapped("\u{1b}[2J", 0, None), "\u{fffd}[2J\n");
    }
}
