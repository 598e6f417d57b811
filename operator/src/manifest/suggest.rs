//! The nearest known name for a mistyped one.

/// The known name that the typed one most likely means, if one is near.
pub(super) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(typed);
    // A third of the letters may be wrong; two in the shortest names.
    let limit = (wanted.chars().count() / 3).max(2);
    let near = |name: &str| {
        let name = plain(name);
        // `hostname` for `host`: a longer or shorter form of the same word.
        let form = name.len() >= 4 && wanted.len() >= 4;
        if form && (wanted.starts_with(&name) || name.starts_with(&wanted)) {
            return Some(0);
        }
        // So much longer or shorter a name is another one, and may be too long to compare.
        if wanted.len().abs_diff(name.len()) > limit {
            return None;
        }
        Some(distance(&wanted, &name)).filter(|d| *d <= limit && *d < name.chars().count())
    };
    known.filter_map(|name| Some((near(name)?, name))).min().map(|(_, name)| name)
}

/// Without what people confuse: capitals, `-` and `_`.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Letters to insert, delete, change or swap with their neighbour (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<_>, Vec<_>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![(0..=right.len()).collect::<Vec<_>>()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let change = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_leads_to_the_field_that_was_meant() {
        let known = ["catalog", "currency", "configMapRef", "host", "pages", "tls"];
        let nearest = |typed| nearest(typed, known.into_iter());
        for (typed, meant) in [
            ("catlog", Some("catalog")),
            ("config_map_ref", Some("configMapRef")),
            ("Currencey", Some("currency")),
            ("hsot", Some("host")),
            ("TLS", Some("tls")),
            ("hostname", Some("host")),
            ("ingress", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed), meant, "{typed}");
        }
    }
}
