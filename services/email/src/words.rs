//! Texts of others (product names, the shop's name) made fit for a mail. Decides nothing about
//! escaping: that is the HTML templates' work.

/// Whether a character is not seen but does something: controls, line and paragraph separators, and
/// those that turn the direction of what follows (U+202A to U+202E, U+2066 to U+2069), with which a
/// name can make the price beside it read backwards.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// One line of visible text: what is unseen becomes a blank, blanks are joined, and a text longer
/// than `max_chars` ends in `…`.
pub fn one_line(text: &str, max_chars: usize) -> String {
    let spaced: String =
        text.chars().map(|c| if is_unseen(c) || c.is_whitespace() { ' ' } else { c }).collect();
    let mut line = String::with_capacity(spaced.len());
    for word in spaced.split(' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if let Some((end, _)) = line.char_indices().nth(max_chars) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_one_line_of_visible_text() {
        assert_eq!(one_line("  Nova\t5G \r\n.\r\n", 40), "Nova 5G .");
        assert_eq!(one_line("safe \u{202e}00.1$", 40), "safe 00.1$");
        assert_eq!(one_line("\u{1b}[31mred", 40), "[31mred");
        assert_eq!(one_line("שולחן 🪑 e\u{301}", 40), "שולחן 🪑 e\u{301}");
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(one_line("\u{7f}\u{85}", 3), "");
    }

    proptest! {
        #[test]
        fn nothing_unseen_is_left_and_the_length_is_bounded(text in any::<String>()) {
            let line = one_line(&text, 20);
            prop_assert!(line.chars().count() <= 21);
            prop_assert!(!line.chars().any(|c| is_unseen(c) || (c.is_whitespace() && c != ' ')));
        }
    }
}
