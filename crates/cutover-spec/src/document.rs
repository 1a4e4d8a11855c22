//! The YAML text as a tree of marked nodes, and the place of every path in it.
//!
//! The typed values know nothing of places; this is what messages look them up in. It must not know what any key
//! means: that is the schema's and the validation's.

use std::collections::BTreeMap;

use cutover_model::{Diagnostic, Location};
use serde_saphyr::granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span as Range};

/// More nodes than this come from aliases of aliases, not from a person.
const MAX_NODES: usize = 100_000;

/// A stretch of one line; line and column from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) length: usize,
}

/// A node of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) content: Content,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Scalar { text: String, plain: bool },
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) mark: Mark,
    pub(crate) value: Node,
}

impl Node {
    /// Whether nothing is written there.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    fn size(&self) -> usize {
        match &self.content {
            Content::Scalar { .. } => 1,
            Content::Sequence(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Content::Mapping(entries) => 1 + entries.iter().map(|e| 1 + e.value.size()).sum::<usize>(),
        }
    }
}

/// A file's text, its tree, and where each path stands.
#[derive(Debug)]
pub(crate) struct Document {
    file: String,
    lines: Vec<String>,
    pub(crate) root: Node,
    keys: BTreeMap<String, Mark>,
    values: BTreeMap<String, Mark>,
}

impl Document {
    /// Reads the text; the first thing that is no YAML, or a key that stands twice, is the error.
    pub(crate) fn read(file: &str, text: &str) -> Result<Self, Diagnostic> {
        let lines = text.lines().map(str::to_owned).collect();
        let mut document = Self {
            file: file.to_owned(),
            lines,
            root: Node {
                mark: Mark {
                    line: 1,
                    column: 1,
                    length: 1,
                },
                content: Content::Scalar {
                    text: String::new(),
                    plain: true,
                },
            },
            keys: BTreeMap::new(),
            values: BTreeMap::new(),
        };
        let mut reader = Reader {
            document: &document,
            parser: Parser::new_from_str_with_options(
                text,
                serde_saphyr::granit_parser::options! { emit_comments: false },
            ),
            anchors: BTreeMap::new(),
            nodes: 0,
        };
        let root = reader.document()?;
        if let Some(root) = root {
            document.root = root;
        }
        let (mut keys, mut values) = (BTreeMap::new(), BTreeMap::new());
        index(&document.root, "", &mut keys, &mut values);
        document.keys = keys;
        document.values = values;
        Ok(document)
    }

    /// A mark with its file and line.
    pub(crate) fn location(&self, mark: Mark) -> Location {
        let text = self
            .lines
            .get(mark.line - 1)
            .map(String::as_str)
            .unwrap_or_default();
        let room = (text.chars().count() + 1).saturating_sub(mark.column);
        Location {
            file: self.file.clone(),
            line: mark.line,
            column: mark.column,
            length: mark.length.min(room).max(1),
            text: cutover_model::cover_passwords_in_place(text),
        }
    }

    /// Where the key at the end of a path stands.
    pub(crate) fn key(&self, path: &str) -> Option<Location> {
        self.keys.get(path).map(|mark| self.location(*mark))
    }

    /// Where the value at a path stands; for a collection its key, or its first key.
    pub(crate) fn value(&self, path: &str) -> Option<Location> {
        self.values.get(path).map(|mark| self.location(*mark))
    }
}

/// A path with one more key.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The path around the last key or index of a path; none for the whole file.
pub(crate) fn parent(path: &str) -> Option<&str> {
    if path.is_empty() {
        return None;
    }
    Some(path.rfind(['.', '[']).map_or("", |end| &path[..end]))
}

/// A path without its indices, as `cutover schema` takes it.
pub(crate) fn without_indices(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            c if !inside => plain.push(c),
            _ => {}
        }
    }
    plain
}

fn index(node: &Node, path: &str, keys: &mut BTreeMap<String, Mark>, values: &mut BTreeMap<String, Mark>) {
    match &node.content {
        Content::Scalar { .. } => {
            values.entry(path.to_owned()).or_insert(node.mark);
        }
        Content::Sequence(items) => {
            values.entry(path.to_owned()).or_insert(node.mark);
            for (at, item) in items.iter().enumerate() {
                index(item, &format!("{path}[{at}]"), keys, values);
            }
        }
        Content::Mapping(entries) => {
            let first = entries.first().map_or(node.mark, |entry| entry.mark);
            values.entry(path.to_owned()).or_insert(first);
            for entry in entries {
                let path = join(path, &entry.key);
                keys.insert(path.clone(), entry.mark);
                if entry.value.is_null() || !matches!(entry.value.content, Content::Scalar { .. }) {
                    values.insert(path.clone(), entry.mark);
                }
                index(&entry.value, &path, keys, values);
            }
        }
    }
}

struct Reader<'a> {
    document: &'a Document,
    parser: Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>,
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn refuse(&self, mark: Mark, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error("spec.syntax", message)
            .at(self.document.location(mark))
            .help("cutover schema")
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Range)>, Diagnostic> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => Err(self.syntax(&error)),
        }
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let at = error.marker();
        // At the end of the text the last written line says more than the empty one after it.
        let last = self.document.lines.len().max(1);
        let mark = Mark {
            line: at.line().clamp(1, last),
            column: at.col() + 1,
            length: 1,
        };
        let tabs = self
            .document
            .lines
            .get(mark.line - 1)
            .is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'));
        let found = self.refuse(mark, format!("this is not YAML: {}", error.kind()));
        if tabs {
            found.label("YAML is indented with spaces, never with tabs")
        } else if matches!(error.kind(), ErrorKind::MappingValueNotAllowed) {
            found.label("a line above may lack its `:`, or this one a blank or a quote")
        } else {
            found
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Diagnostic> {
        let mut root = None;
        while let Some((event, range)) = self.next()? {
            match event {
                Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd => {}
                _ if root.is_some() => {
                    return Err(self.refuse(
                        mark_of(range),
                        "a second document begins here: one file describes one application",
                    ));
                }
                event => root = Some(self.node(event, range)?),
            }
        }
        Ok(root)
    }

    fn count(&mut self, nodes: usize, range: Range) -> Result<(), Diagnostic> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(self.refuse(
                mark_of(range),
                format!("more than {MAX_NODES} values, aliases counted as what they stand for"),
            ));
        }
        Ok(())
    }

    fn inside(&mut self) -> Result<(Event<'a>, Range), Diagnostic> {
        self.next()?
            .ok_or_else(|| Diagnostic::error("spec.syntax", "the text ends in the middle of a value"))
    }

    fn node(&mut self, event: Event<'a>, range: Range) -> Result<Node, Diagnostic> {
        self.count(1, range)?;
        let mark = mark_of(range);
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (
                Content::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                },
                anchor,
            ),
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.inside()? {
                        (Event::SequenceEnd, _) => break,
                        (event, range) => items.push(self.node(event, range)?),
                    }
                }
                (Content::Sequence(items), anchor)
            }
            Event::MappingStart(_, anchor, _) => (Content::Mapping(self.mapping()?), anchor),
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id).cloned() else {
                    return Err(self.refuse(mark, "this alias stands within what it means"));
                };
                self.count(size, range)?;
                return Ok(node);
            }
            other => {
                return Err(self.refuse(mark, format!("a value was expected here, not {other:?}")));
            }
        };
        // A collection's own mark is where it starts; it has no length of its own.
        let mark = match content {
            Content::Scalar { .. } => mark,
            Content::Sequence(_) | Content::Mapping(_) => Mark { length: 1, ..mark },
        };
        let node = Node { mark, content };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), node.size()));
        }
        Ok(node)
    }

    fn mapping(&mut self) -> Result<Vec<Entry>, Diagnostic> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        loop {
            let (event, range) = self.inside()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, range)?;
            let Content::Scalar { text, plain } = key.content else {
                return Err(self.refuse(key.mark, "a key must be a text, not a list or a map"));
            };
            let (event, range) = self.inside()?;
            let value = self.node(event, range)?;
            if plain && text == "<<" {
                merged.extend(merge(value));
                continue;
            }
            if let Some(first) = entries.iter().find(|entry| entry.key == text) {
                return Err(Diagnostic::error(
                    "spec.duplicate-key",
                    format!("`{text}` stands twice in the same map"),
                )
                .at(self.document.location(key.mark))
                .label(format!("first written on line {}", first.mark.line))
                .help("cutover schema"));
            }
            entries.push(Entry {
                key: text,
                mark: key.mark,
                value,
            });
        }
        for entry in merged {
            if !entries.iter().any(|own| own.key == entry.key) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }
}

/// The first line of a range.
fn mark_of(range: Range) -> Mark {
    let (start, end) = (range.start, range.end);
    let length = if end.line() == start.line() {
        end.col().saturating_sub(start.col())
    } else {
        usize::MAX
    };
    Mark {
        line: start.line().max(1),
        column: start.col() + 1,
        length: length.max(1),
    }
}

/// What a `<<` key brings: the entries of a map, or of several, the earlier ones first.
fn merge(value: Node) -> Vec<Entry> {
    match value.content {
        Content::Mapping(entries) => entries,
        Content::Sequence(items) => items.into_iter().flat_map(merge).collect(),
        Content::Scalar { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_text() {
        let text = "a:\n  - b: 1\n    c: 'xy'\n  - d\nempty:\n";
        let document = Document::read("f", text).unwrap();
        let at = |path: &str| {
            let place = document.value(path).unwrap();
            (place.line, place.column, place.length)
        };
        assert_eq!(at("a"), (1, 1, 1));
        assert_eq!(at("a[0]"), (2, 5, 1));
        assert_eq!(at("a[0].c"), (3, 8, 4));
        assert_eq!(at("a[1]"), (4, 5, 1));
        assert_eq!(at("empty"), (5, 1, 5));
        assert_eq!(document.key("a[0].c").unwrap().column, 5);
        assert_eq!(parent("a[0].c"), Some("a[0]"));
        assert_eq!(parent("a[0]"), Some("a"));
        assert_eq!(parent("a"), Some(""));
        assert_eq!(without_indices("a[0].c"), "a.c");
    }

    #[test]
    fn aliases_and_merges_are_what_they_stand_for() {
        let document = Document::read("f", "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n").unwrap();
        assert!(document.value("y.a").is_some());
        assert_eq!(document.value("y.b").unwrap().line, 2);
    }

    #[test]
    fn aliases_of_aliases_end() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let inner = vec![format!("*a{}", n - 1); 10].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{inner}]\n"));
        }
        assert_eq!(Document::read("f", &text).unwrap_err().code, "spec.syntax");
    }
}
