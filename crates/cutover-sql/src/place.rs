//! From byte offsets to lines and columns that people count.

use cutover_model::Location;

/// The line of an offset, from 1.
pub(crate) fn line_of(source: &str, offset: usize) -> usize {
    1 + source.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// Counts lines while offsets only grow, so that a file is walked once.
pub(crate) struct Lines<'a> {
    source: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    pub(crate) const fn new(source: &'a str) -> Self {
        Self {
            source,
            at: 0,
            line: 1,
        }
    }

    pub(crate) fn advance(&mut self, offset: usize) -> usize {
        let passed = self.source.as_bytes().get(self.at..offset).unwrap_or(&[]);
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.at = offset.max(self.at);
        self.line
    }
}

/// Where the lines of a text begin, so that many places of it are found without walking it each time.
pub(crate) struct LineStarts<'a> {
    source: &'a str,
    starts: Vec<usize>,
}

impl<'a> LineStarts<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        let ends = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            source,
            starts: std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect(),
        }
    }

    /// Line and column, from 1, of an offset; the column in characters.
    pub(crate) fn place(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.source.len());
        while !self.source.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, self.source[start..offset].chars().count() + 1)
    }
}

/// The place of some bytes of a file, for a message. An offset past the end is the end.
#[must_use]
pub fn locate(file: &str, source: &str, offset: usize, length: usize) -> Location {
    let mut offset = offset.min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    let start = source[..offset].rfind('\n').map_or(0, |at| at + 1);
    let text = source[start..].lines().next().unwrap_or_default();
    let column = source[start..offset].chars().count() + 1;
    let mut end = (offset + length).min(start + text.len()).max(offset);
    while !source.is_char_boundary(end) {
        end -= 1;
    }
    Location {
        file: file.to_owned(),
        line: line_of(source, offset),
        column,
        length: source[offset..end].chars().count().max(1),
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters() {
        let place = locate("a.sql", "x\nüü foo\n", 7, 3);
        assert_eq!((place.line, place.column, place.length), (2, 4, 3));
        assert_eq!(place.text, "üü foo");
        assert_eq!(locate("a", "", 9, 9).line, 1);
        let text = "x\nüü foo\n";
        let lines = LineStarts::new(text);
        for offset in 0..=text.len() + 3 {
            let place = locate("a", text, offset, 1);
            assert_eq!(lines.place(offset), (place.line, place.column), "{offset}");
        }
    }
}
