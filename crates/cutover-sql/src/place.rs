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
    }
}
