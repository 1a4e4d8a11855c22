//! What a file says: its commands, and what stands around them.

use std::ops::Range;

use cutover_model::MigrationPhase;

use crate::header::{DirectiveError, DirectiveProblem, Header, Timeout};
use crate::json::{self, Member, Node, Value};
use crate::split::{SplitError, SplitProblem, Statement};

const KEYS: [&str; 10] = [
    "about",
    "phase",
    "retires",
    "precheck",
    "verify",
    "irreversible",
    "reviewed",
    "timeout",
    "ignore",
    "commands",
];

/// What suppresses findings.
pub(crate) struct Ignored {
    pub(crate) rule: String,
    pub(crate) reason: bool,
    pub(crate) range: Range<usize>,
}

fn parse(source: &str) -> Result<Node, SplitError> {
    json::parse(source).map_err(|error| refused(source, error.at, error.said))
}

fn refused(source: &str, at: usize, said: String) -> SplitError {
    SplitError::new(source, at, SplitProblem::Commands(said))
}

/// The commands, each as it is written.
pub(crate) fn split(source: &str) -> Result<Vec<Statement>, SplitError> {
    let file = parse(source)?;
    let said = "a file of commands is a list of them, or an object with such a list as `commands`";
    let list = match &file.value {
        Value::Object(_) => file.get("commands"),
        _ => Some(&file),
    };
    let Some(Node {
        value: Value::List(items),
        ..
    }) = list
    else {
        let at = list.map_or(file.range.start, |node| node.range.start);
        return Err(refused(source, at, said.to_owned()));
    };
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        if item.members().is_empty() {
            let said = "a command is an object whose first key names it, such as {\"create\": \"users\"}";
            return Err(refused(source, item.range.start, said.to_owned()));
        }
        out.push(Statement {
            text: source.get(item.range.clone()).unwrap_or_default().to_owned(),
            line: crate::place::line_of(source, item.range.start),
            byte_offset: item.range.start,
        });
    }
    Ok(out)
}

/// The commands alone, without white space: a file that says more of them has the same checksum.
pub(crate) fn normalised(source: &str) -> Result<String, SplitError> {
    let file = parse(source)?;
    let list = file.get("commands").unwrap_or(&file);
    let mut out = String::new();
    json::compact(source, list, &mut out);
    Ok(out)
}

/// What stands beside the commands.
pub(crate) fn header(source: &str) -> Result<Header, Vec<DirectiveError>> {
    let file = match parse(source) {
        Ok(file) => file,
        Err(error) => {
            let range = error.byte_offset..error.byte_offset;
            let problem = error.into();
            return Err(vec![DirectiveError { problem, range }]);
        }
    };
    let mut reader = Reader {
        source,
        // Of several commands, each commits by itself.
        header: Header {
            transaction: false,
            ..Header::default()
        },
        errors: Vec::new(),
    };
    for member in file.members() {
        reader.member(member);
    }
    if reader.errors.is_empty() {
        Ok(reader.header)
    } else {
        Err(reader.errors)
    }
}

struct Reader<'a> {
    source: &'a str,
    header: Header,
    errors: Vec<DirectiveError>,
}

impl Reader<'_> {
    fn refuse(&mut self, range: &Range<usize>, problem: DirectiveProblem) {
        self.errors.push(DirectiveError {
            problem,
            range: range.clone(),
        });
    }

    fn value(&mut self, key: &'static str, node: &Node, allowed: &'static str) {
        let value = match node.text() {
            Some(text) => text.to_owned(),
            None => self.source.get(node.range.clone()).unwrap_or_default().to_owned(),
        };
        self.refuse(&node.range, DirectiveProblem::Value { key, value, allowed });
    }

    fn member(&mut self, member: &Member) {
        let node = &member.node;
        match member.key.as_str() {
            "commands" | "ignore" => {}
            "about" => match node.text() {
                Some(text) => self.header.summary = text.lines().next().map(str::to_owned),
                None => self.value("about", node, "a text"),
            },
            "phase" => {
                self.header.phase = match node.text() {
                    Some("expand") => Some(MigrationPhase::Expand),
                    Some("backfill") => Some(MigrationPhase::Backfill),
                    Some("contract") => Some(MigrationPhase::Contract),
                    _ => {
                        self.value("phase", node, "expand, backfill, contract");
                        None
                    }
                };
            }
            "retires" => match node.text().unwrap_or_default().parse() {
                Ok(version) => self.header.retires = Some(version),
                Err(error) => self.refuse(&node.range, DirectiveProblem::Version(error)),
            },
            "irreversible" => match node.text().map(str::trim) {
                Some(reason) if !reason.is_empty() => self.header.irreversible = Some(reason.to_owned()),
                _ => self.refuse(
                    &node.range,
                    DirectiveProblem::Incomplete {
                        directive: "irreversible",
                        needs: "a reason",
                    },
                ),
            },
            "reviewed" => match node.value {
                Value::Bool(true) => {}
                Value::Bool(false) => self.header.unreviewed = Some(member.range.start..node.range.end),
                _ => self.value("reviewed", node, "true, false"),
            },
            "timeout" => {
                self.header.timeout = node.text().and_then(Timeout::read);
                if self.header.timeout.is_none() {
                    self.value("timeout", node, Timeout::ALLOWED);
                }
            }
            "verify" => {
                if let Some(query) = self.query("verify", node) {
                    self.header.verify = Some(query);
                }
            }
            "precheck" => {
                let one = std::slice::from_ref(node);
                let all = if matches!(node.value, Value::List(_)) {
                    node.items()
                } else {
                    one
                };
                for node in all {
                    if let Some(query) = self.query("precheck", node) {
                        self.header.prechecks.push(query);
                    }
                }
            }
            other => {
                let problem = DirectiveProblem::Unknown {
                    word: other.to_owned(),
                    nearest: nearest(other),
                };
                self.refuse(&member.range, problem);
            }
        }
    }

    /// A command that counts.
    fn query(&mut self, directive: &'static str, node: &Node) -> Option<String> {
        let counts = |member: &Member| matches!(member.key.as_str(), "count" | "aggregate");
        if node.members().first().is_some_and(counts) {
            return self.source.get(node.range.clone()).map(str::to_owned);
        }
        let needs = "a command that counts: {\"count\": …} or {\"aggregate\": …}";
        self.refuse(&node.range, DirectiveProblem::Incomplete { directive, needs });
        None
    }
}

fn nearest(word: &str) -> Option<&'static str> {
    let distance = |known: &'static str| (strsim::damerau_levenshtein(known, word), known);
    let all = KEYS.into_iter().map(distance);
    let near = all.filter(|(distance, known)| *distance <= known.len() / 3 + 1 && *distance < known.len());
    near.min().map(|(_, known)| known)
}

/// `"ignore": [{"rule": "drop-collection", "reason": "…"}]`, for the whole file.
pub(crate) fn suppressions(source: &str) -> Vec<Ignored> {
    let Ok(file) = parse(source) else {
        return Vec::new();
    };
    let all = file.items_of("ignore");
    all.iter()
        .map(|node| Ignored {
            rule: node
                .get("rule")
                .and_then(Node::text)
                .unwrap_or_default()
                .to_owned(),
            reason: node
                .get("reason")
                .and_then(Node::text)
                .is_some_and(|reason| !reason.trim().is_empty()),
            range: node.range.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use cutover_model::Version;

    use super::*;

    #[test]
    fn a_list_and_an_object_are_the_same_commands() {
        let list = "[\n  {\"create\": \"users\"},\n  {\"createIndexes\": \"users\", \"indexes\": []}\n]\n";
        let object = format!("{{\"phase\": \"expand\", \"commands\": {list}}}");
        let (one, other) = (split(list).unwrap(), split(&object).unwrap());
        assert_eq!(one.len(), 2);
        assert_eq!((one[1].line, one[1].byte_offset), (3, 27));
        assert_eq!(one[1].text, other[1].text);
        assert_eq!(normalised(list), normalised(&object));
        assert_eq!(normalised(&list.replace('\n', "\r\n")), normalised(list));
        assert_eq!(header(list).unwrap().phase, None);
        assert_eq!(header(&object).unwrap().phase, Some(MigrationPhase::Expand));
        assert_eq!(split("[]"), Ok(Vec::new()));
    }

    #[test]
    fn everything_that_stands_beside_the_commands() {
        let found = header(
            r#"{"about": "Drops the old names", "phase": "contract", "retires": "2.0.0",
                "precheck": {"count": "users"},
                "verify": {"aggregate": "users", "pipeline": [{"$count": "n"}], "cursor": {}},
                "irreversible": "the values are gone", "reviewed": false, "commands": []}"#,
        )
        .unwrap();
        assert_eq!(found.summary.as_deref(), Some("Drops the old names"));
        assert_eq!(found.retires, Some(Version::new(2, 0, 0)));
        assert_eq!(found.prechecks, [r#"{"count": "users"}"#]);
        assert!(found.verify.unwrap().starts_with(r#"{"aggregate""#));
        assert_eq!(found.irreversible.as_deref(), Some("the values are gone"));
        assert!(found.unreviewed.is_some() && !found.transaction);
    }

    #[test]
    fn mistakes_have_their_place() {
        let text =
            r#"{"phse": "expand", "phase": "shrink", "retires": 2, "verify": {"find": "x"}, "commands": []}"#;
        let found = header(text).unwrap_err();
        assert!(matches!(
            &found[0].problem,
            DirectiveProblem::Unknown {
                nearest: Some("phase"),
                ..
            }
        ));
        assert_eq!(&text[found[0].range.clone()], "\"phse\"");
        assert!(matches!(
            found[1].problem,
            DirectiveProblem::Value { key: "phase", .. }
        ));
        assert!(matches!(found[2].problem, DirectiveProblem::Version(_)));
        assert!(matches!(found[3].problem, DirectiveProblem::Incomplete { .. }));
        for (text, at) in [
            ("{\"phase\": \"expand\"}", 0),
            ("{\"commands\": 3}", 13),
            ("[{}]", 1),
            ("[[]]", 1),
            ("\"x\"", 0),
            ("[{\"a\": 1}", 9),
        ] {
            assert_eq!(split(text).unwrap_err().byte_offset, at, "{text}");
        }
    }
}
