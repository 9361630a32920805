//! Tables for a person: one line a row, no rules, as wide as the terminal at most.

use super::terminal::one_line;
use std::io::IsTerminal;

/// What is assumed of a terminal that does not say how wide it is, in characters.
const USUAL_WIDTH: usize = 80;

/// Between two columns.
const GAP: usize = 2;

/// Rows of texts below a header. The first column is to the left, the others, numbers, to the right.
/// The last columns are the least important: those that do not fit are left out.
#[derive(Debug, Default)]
pub struct TextTable {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// A table without rows.
    pub fn new(header: &[&str]) -> Self {
        Self {
            header: header.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, which has as many cells as the header.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| one_line(&cell));
        self.rows.push(cells.collect());
    }

    /// The table for standard output.
    pub fn for_stdout(&self) -> String {
        self.within(stdout_width())
    }

    /// The table, at most so many characters wide; two columns are always there.
    pub fn within(&self, width: usize) -> String {
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        let cell =
            |line: &Vec<String>, column: usize| line.get(column).cloned().unwrap_or_default();
        let widest = |column| lines().map(|line| cell(line, column).chars().count()).max();
        let widths: Vec<usize> = (0..self.header.len())
            .map(|column| widest(column).unwrap_or(0))
            .collect();
        let total =
            |columns: usize| widths[..columns].iter().sum::<usize>() + GAP * (columns.max(1) - 1);
        let fitting = (2..=widths.len())
            .rev()
            .find(|&columns| total(columns) <= width);
        let columns = fitting.unwrap_or(2).min(widths.len());
        let written = lines().map(|line| {
            let cells = (0..columns).map(|column| match column {
                0 => format!("{:<1$}", cell(line, column), widths[column]),
                _ => format!("{:>1$}", cell(line, column), widths[column]),
            });
            let line = cells.collect::<Vec<_>>().join(&" ".repeat(GAP));
            line.trim_end().to_owned()
        });
        written.collect::<Vec<_>>().join("\n")
    }
}

/// How wide a text for standard output may be: as the terminal, or without a limit.
pub(super) fn stdout_width() -> usize {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return usize::MAX;
    }
    let width = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| usize::from(size.ws_col));
    if width == 0 { USUAL_WIDTH } else { width }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TextTable {
        let mut table = TextTable::new(&["stratum", "target", "written", "size"]);
        table.row(["train/medium", "40000", "39999", "123.4 MB"].map(str::to_owned));
        table.row(["test/long", "2", "2", "1 B"].map(str::to_owned));
        table
    }

    #[test]
    fn a_row_is_a_line_and_there_are_no_rules() {
        let expected = "\
stratum       target  written      size
train/medium   40000    39999  123.4 MB
test/long          2        2       1 B";
        assert_eq!(table().within(80), expected);
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out_from_the_last() {
        let widest = |width| {
            let text = table().within(width);
            let columns = text
                .lines()
                .next()
                .expect("a header")
                .split_whitespace()
                .count();
            (columns, text.lines().map(|line| line.chars().count()).max())
        };
        assert_eq!(widest(39), (4, Some(39)));
        assert_eq!(widest(38), (3, Some(29)));
        assert_eq!(widest(28), (2, Some(20)));
        assert_eq!(widest(3), (2, Some(20)), "two are always there");
    }
}
