//! Mailpit's search words (<https://mailpit.axllent.org/docs/usage/search-filters/>), the part of
//! them that tests use: words and quoted texts, fields, and a minus before what must not match.

/// One condition on a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// An SQL expression of ours; with a pattern it is compared by LIKE, without it stands alone.
    pub sql: &'static str,
    pub pattern: Option<String>,
    pub exclude: bool,
}

/// Most terms of one search.
const TERMS_MAX: usize = 50;

const FIELDS: &[(&str, &str)] = &[
    ("to:", "json_extract(summary, '$.To')"),
    ("from:", "json_extract(summary, '$.From')"),
    ("cc:", "json_extract(summary, '$.Cc')"),
    ("bcc:", "json_extract(summary, '$.Bcc')"),
    ("reply-to:", "json_extract(summary, '$.ReplyTo')"),
    ("addressed:", "addresses"),
    ("subject:", "json_extract(summary, '$.Subject')"),
    ("message-id:", "message_id"),
];
const FLAGS: &[(&str, &str)] = &[("is:read", "is_read = 1"), ("is:unread", "is_read = 0")];

/// The terms of a query; all of them must hold.
pub fn parse(query: &str) -> Vec<Term> {
    words(query).into_iter().filter_map(|word| term(&word)).take(TERMS_MAX).collect()
}

fn term(word: &str) -> Option<Term> {
    let (exclude, word) = match word.strip_prefix(['-', '!']) {
        Some(rest) if !rest.is_empty() => (true, rest),
        _ => (false, word),
    };
    let lower = word.to_lowercase();
    if let Some((_, sql)) = FLAGS.iter().find(|(flag, _)| *flag == lower) {
        return Some(Term { sql, pattern: None, exclude });
    }
    let field = FIELDS.iter().find(|(name, _)| lower.starts_with(name));
    let (sql, wanted) = match field {
        Some((name, sql)) => (*sql, word.get(name.len()..)?.to_owned()),
        None => ("search_text", lower),
    };
    let wanted = wanted.trim();
    (!wanted.is_empty()).then(|| Term { sql, pattern: Some(like(wanted)), exclude })
}

/// A LIKE pattern, with `\` as its escape.
fn like(wanted: &str) -> String {
    let escaped = wanted.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

/// Splits at blanks outside quotes, and takes the quotes away.
fn words(query: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in query.chars() {
        match letter {
            '"' => quoted = !quoted,
            blank if blank.is_whitespace() && !quoted => words.push(String::new()),
            other => {
                if let Some(word) = words.last_mut() {
                    word.push(other);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(query: &str) -> String {
        let one = |term: &Term| {
            let not = if term.exclude { "not " } else { "" };
            format!("{not}{} {}", term.sql, term.pattern.as_deref().unwrap_or("-"))
        };
        parse(query).iter().map(one).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn words_become_conditions() {
        assert_eq!(shown("Thank you"), "search_text %thank%; search_text %you%");
        assert_eq!(shown("\"Thank you\" is:unread"), "search_text %thank you%; is_read = 0 -");
        assert_eq!(
            shown("to:asha@example.com -message-id:a_b%"),
            "json_extract(summary, '$.To') %asha@example.com%; not message_id %a\\_b\\%%"
        );
        assert_eq!(shown("  to: \"\" - "), "search_text %-%");
    }
}
