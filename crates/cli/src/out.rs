//! What reaches stdout: tables and lines for people, JSON for programs. It is collected and
//! written once, so that a reader who leaves early is noticed in one place.

use crate::problem::Problem;
use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, Table, TableStyle};
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write};

pub(crate) use comfy_table::Color;

/// A table is not squeezed below this many columns: a terminal that wraps its lines reads
/// better than words of one letter a line.
const LEAST: u16 = 72;

pub(crate) struct Out {
    pub(crate) json: bool,
    /// The columns of the terminal; `None` in a pipe, where nothing is wrapped or cut.
    pub(crate) width: Option<u16>,
    colour: bool,
    text: String,
    notes: Vec<String>,
}

impl Out {
    pub(crate) fn new(json: bool) -> Out {
        let terminal = std::io::stdout().is_terminal();
        let silent = |name| std::env::var_os(name).is_none_or(|v| v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        Out {
            json,
            width: terminal.then(|| Table::new().width().unwrap_or(80)),
            colour: terminal && silent("NO_COLOR") && !dumb,
            text: String::new(),
            notes: Vec::new(),
        }
    }

    /// A line; what is foreign in it has been escaped by the caller.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// One JSON value on a line of its own.
    pub(crate) fn value(&mut self, value: &impl Serialize) -> Result<(), Problem> {
        let json = serde_json::to_string(value).map_err(|e| Problem::failed(format!("output: {e}")))?;
        // Outside ASCII there are only strings in JSON, so an escape changes no value, while
        // raw these would steer a terminal. A raw line break is space between values: a
        // payload is kept as its maker wrote it.
        for c in json.chars() {
            match c {
                '\u{7f}'..='\u{9f}' => self.text.push_str(&format!("\\u{:04x}", c as u32)),
                '\n' | '\r' | '\t' => self.text.push(' '),
                c => self.text.push(c),
            }
        }
        self.text.push('\n');
        Ok(())
    }

    /// Something for people to know that is not an error, told on stderr after the rest;
    /// programs find it in the value.
    pub(crate) fn note(&mut self, note: &str) {
        if !self.json {
            self.notes.push(format!("legwork: note: {note}"));
        }
    }

    /// An empty table, with a heading where it has columns to name.
    pub(crate) fn table(&self, heading: &[&str]) -> Table {
        let mut table = Table::new();
        table.load_style(TableStyle::new());
        match self.width {
            Some(width) => {
                table.set_width(width.max(LEAST)).set_content_arrangement(ContentArrangement::Dynamic)
            }
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        if !heading.is_empty() {
            table.set_header(heading.iter().map(|h| Cell::new(h).add_attribute(Attribute::Bold)));
        }
        table
    }

    /// Prints a finished table; the columns named keep the width of their content.
    pub(crate) fn print(&mut self, table: Table, whole: &[usize]) {
        for line in self.lines(table, whole) {
            self.line(line);
        }
    }

    /// The lines of a finished table.
    pub(crate) fn lines(&self, mut table: Table, whole: &[usize]) -> Vec<String> {
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if whole.contains(&index) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Writes all of it. A reader who has gone is no error.
    pub(crate) fn write(self) -> Result<(), Problem> {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(self.text.as_bytes()).and_then(|()| stdout.flush());
        for note in self.notes {
            // Nothing is left to be done for a stderr that is closed.
            let _ = writeln!(std::io::stderr(), "{note}");
        }
        match written {
            Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Problem::failed(format!("stdout: {e}"))),
            _ => Ok(()),
        }
    }
}

/// A cell in a colour that a terminal shows and a pipe does not.
pub(crate) fn coloured(text: impl ToString, colour: Option<Color>) -> Cell {
    let cell = Cell::new(text);
    match colour {
        Some(colour) => cell.fg(colour),
        None => cell,
    }
}
