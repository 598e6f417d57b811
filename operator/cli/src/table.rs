//! Tables for people: columns that line up, cut where a terminal is too narrow. Pure.

use storefront_inspect::tame;
use unicode_width::UnicodeWidthChar as _;

use crate::terminal::{Terminal, Tone};

const BETWEEN: usize = 2;
/// A column that is cut keeps so much, so that it can still be told apart.
const SHORTEST: usize = 8;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    right: bool,
    gives: bool,
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
}

/// A table under construction.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Column {
    /// Text, which begins on the left.
    pub const fn text(title: &'static str) -> Self {
        Self { title, right: false, gives: false }
    }

    /// Numbers, which end on the right.
    pub const fn number(title: &'static str) -> Self {
        Self { title, right: true, gives: false }
    }

    /// Text that is cut first when there is no room.
    pub const fn long(title: &'static str) -> Self {
        Self { title, right: false, gives: true }
    }
}

impl Cell {
    /// Much of what stands in cells came from outside.
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: tame(&text.into()), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(Tone::Plain, text)
    }
}

impl Table {
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, each with its end.
    pub fn text(&self, terminal: Terminal) -> String {
        let widths = self.widths(terminal.width);
        let titles = self.columns.iter().map(|it| Cell::toned(Tone::Strong, it.title));
        let head: Vec<Cell> = titles.collect();
        let has_head = self.columns.iter().any(|column| !column.title.is_empty());
        let rows = has_head.then_some(&head).into_iter().chain(&self.rows);
        rows.map(|row| self.line(row, &widths, terminal)).collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize], terminal: Terminal) -> String {
        let mut line = String::new();
        // Spaces are only written once something follows.
        let mut due = 0;
        for ((cell, column), width) in row.iter().zip(&self.columns).zip(widths) {
            if *width == 0 {
                continue; // there is no room for it
            }
            let shown = cut(&cell.text, *width);
            let missing = width.saturating_sub(self::width(&shown));
            if shown.is_empty() {
                due += width;
            } else {
                due += if column.right { missing } else { 0 };
                line.extend(std::iter::repeat_n(' ', due));
                line.push_str(&terminal.paint(cell.tone, &shown));
                due = if column.right { 0 } else { missing };
            }
            due += BETWEEN;
        }
        line.push('\n');
        line
    }

    fn widths(&self, room: Option<usize>) -> Vec<usize> {
        let widest = |index: usize, column: &Column| {
            let cells = self.rows.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|cell| width(&cell.text)).max().unwrap_or_default();
            widest.max(width(column.title))
        };
        let columns = self.columns.iter().enumerate();
        let natural: Vec<_> = columns.map(|(index, column)| widest(index, column)).collect();
        let Some(room) = room else { return natural };
        let long: Vec<_> = (0..natural.len()).filter(|index| self.columns[*index].gives).collect();
        // Long columns give first, and go from the last on; then any gives.
        for gone in 0..=long.len() {
            let mut widths = natural.clone();
            for index in long.iter().rev().take(gone) {
                widths[*index] = 0;
            }
            if shrink(&mut widths, room, &long) {
                return widths;
            }
        }
        let all: Vec<_> = (0..natural.len()).filter(|index| !long.contains(index)).collect();
        let mut widths = natural;
        for index in long {
            widths[index] = 0;
        }
        shrink(&mut widths, room, &all);
        widths
    }
}

/// Takes from the widest of some columns until all fit; whether they do.
fn shrink(widths: &mut [usize], room: usize, some: &[usize]) -> bool {
    loop {
        let shown = widths.iter().filter(|width| **width > 0).count();
        if widths.iter().sum::<usize>() + BETWEEN * shown.saturating_sub(1) <= room {
            return true;
        }
        let candidates = some.iter().filter(|index| widths[**index] > SHORTEST);
        let Some(widest) = candidates.max_by_key(|index| widths[**index]) else { return false };
        widths[*widest] -= 1;
    }
}

/// Columns that a text takes, letter by letter as it is cut: a picture that several letters make
/// together counts as its parts.
fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or_default()).sum()
}

/// So much of a text as fits, with `…` where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if self::width(text) <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let wide = c.width().unwrap_or_default();
        let fits = wide <= left;
        left = left.saturating_sub(wide);
        fits
    };
    let mut shown: String = text.chars().take_while(fits).collect();
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let columns = [Column::text("GROUP"), Column::number("LAG"), Column::long("ERROR")];
        let mut table = Table::new(&columns);
        let bad = Cell::toned(Tone::Bad, "10");
        table.row(["order-service".into(), bad, "the value is no JSON of an event".into()]);
        table.row(["größe-日本".into(), "1234".into(), "".into()]);
        table
    }

    #[test]
    fn columns_line_up_whatever_their_letters_are() {
        insta::assert_snapshot!(table().text(Terminal::default()), @r"
        GROUP           LAG  ERROR
        order-service    10  the value is no JSON of an event
        größe-日本     1234
        ");
    }

    #[test]
    fn a_narrow_terminal_cuts_long_columns_first() {
        let narrow = Terminal { width: Some(40), colours: false };
        insta::assert_snapshot!(table().text(narrow), @r"
        GROUP           LAG  ERROR
        order-service    10  the value is no JS…
        größe-日本     1234
        ");
        // What is left of a column that is cut too short tells nothing.
        let narrower = Terminal { width: Some(24), colours: false };
        insta::assert_snapshot!(table().text(narrower), @r"
        GROUP           LAG
        order-service    10
        größe-日本     1234
        ");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("日本", 4), "日本");
        // Pictures of several letters, which are wider together than each for itself, and joined ones.
        for text in ["\u{260e}\u{fe0f}".repeat(30), "👩\u{200d}👧 ".repeat(30)] {
            let mut table = Table::new(&[Column::text("A"), Column::long("B"), Column::text("C")]);
            table.row([Cell::from("1"), text.into(), "2".into()]);
            let text = table.text(narrow);
            assert!(text.lines().all(|line| width(line) <= 40), "{text}");
        }
    }

    #[test]
    fn what_came_from_outside_moves_no_cursor() {
        let mut table = Table::new(&[Column::text("USER"), Column::text("CART")]);
        table.row(["\u{1b}[2Jada".into(), Cell::toned(Tone::Dim, "\u{9b}31m \u{202e}x\n")]);
        insta::assert_snapshot!(table.text(Terminal::default()), @r"
        USER     CART
        �[2Jada  �31m �x�
        ");
    }

    #[test]
    fn colours_do_not_move_columns() {
        let terminal = Terminal { width: None, colours: true };
        let text = table().text(terminal);
        assert!(text.contains("   \x1b[31m10\x1b[0m  the"), "{text:?}");
    }
}
