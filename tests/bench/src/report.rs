//! Tables, on the terminal and in the document.

use std::path::PathBuf;

use anyhow::Result;
use storefront_testkit::measure::write_section;

/// What was measured goes here, as Markdown.
pub struct Report {
    into: Option<PathBuf>,
}

impl Report {
    pub fn new(into: Option<PathBuf>) -> Self {
        Self { into }
    }

    /// A section that begins with its heading; the document's own of that heading is replaced.
    pub fn section(&mut self, text: &str) -> Result<()> {
        println!("\n{text}");
        let Some(path) = &self.into else { return Ok(()) };
        write_section(path, text)
    }
}

/// A table of Markdown.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let rows = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    line(head.to_vec()) + &rule + &rows.collect::<String>()
}

/// The one in the middle.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A count as people read it: `16,300`.
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            ["950", "1,200", "16,300", "1,000,000"],
            [950.0, 1200.0, 16_300.0, 1e6].map(thousands)
        );
        assert_eq!("2", thousands(median([3.0, 1.0, 2.0])));
        assert_eq!(
            "| a | b |\n|---|---|\n| 1 | 2 |\n",
            table(&["a", "b"], &[vec!["1".into(), "2".into()]])
        );
    }
}
