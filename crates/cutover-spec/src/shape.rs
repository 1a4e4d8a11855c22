//! Holds the tree against the schema and names everything that does not fit, not only the first.
//!
//! The schema comes from the types, so that this cannot accept or name a key that they do not have. What is right
//! here is still read by serde after, which has the last word.

use cutover_model::{Day, Diagnostic, Location, OpenHours, ServiceName, Span, ZoneName};
use serde_json::Value;

use crate::document::{Content, Document, Entry, Node, join, without_indices};
use crate::{ContractAfter, Count, CountText, PortRange, schema, spelling};

/// Everything in the document that does not fit the schema.
pub(crate) fn check(document: &Document) -> Vec<Diagnostic> {
    let mut shape = Shape {
        document,
        found: Vec::new(),
    };
    shape.node(&document.root, schema::root(), "", "the file".to_owned());
    shape.found
}

struct Shape<'a> {
    document: &'a Document,
    found: Vec<Diagnostic>,
}

impl Shape<'_> {
    fn report(&mut self, code: &str, message: String, at: Option<Location>, path: &str) {
        let mut error = Diagnostic::error(code, message);
        error.location = at;
        if !path.is_empty() {
            error = error.note("path", path);
        }
        self.found.push(error);
    }

    fn label(&mut self, label: Option<String>) {
        if let Some(last) = self.found.last_mut() {
            last.label = label;
        }
    }

    /// The command that shows what can stand at a path.
    fn help(&mut self, path: &str) {
        if let Some(last) = self.found.last_mut() {
            let plain = without_indices(path);
            last.help = Some(format!("cutover schema {plain}").trim_end().to_owned());
        }
    }

    fn node(&mut self, node: &Node, schema: &'static Value, path: &str, noun: String) {
        if let Some(name) = schema::reference(schema) {
            let noun = if path.is_empty() { noun } else { noun_of(name) };
            return self.node(node, schema::resolved(schema), path, noun);
        }
        let inner = schema::without_null(schema);
        if !std::ptr::eq(inner, schema) {
            if !node.is_null() {
                self.node(node, inner, path, noun);
            }
            return;
        }
        if let Some(ways) = schema.get("oneOf").and_then(Value::as_array) {
            return self.one_of(node, ways, path, &noun);
        }
        let (kinds, optional) = kinds(schema);
        if node.is_null() && optional {
            return;
        }
        match kinds.first().copied() {
            Some("object") => self.object(node, schema, path, &noun),
            Some("array") => self.array(node, schema, path),
            Some(_) => self.scalar(node, schema, &kinds, path),
            None => {}
        }
    }

    fn wrong_kind(&mut self, node: &Node, wanted: &str, path: &str) {
        let given = match &node.content {
            _ if node.is_null() => "and is empty",
            Content::Scalar { .. } => "not a single value",
            Content::Sequence(_) => "not a list",
            Content::Mapping(_) => "not a map",
        };
        let key = path
            .rsplit('.')
            .next()
            .filter(|key| !key.is_empty())
            .map_or_else(|| "the file".to_owned(), |key| format!("`{key}`"));
        let at = self
            .document
            .value(path)
            .or_else(|| Some(self.document.location(node.mark)));
        self.report(
            "spec.wrong-type",
            format!("{key} must be {wanted}, {given}"),
            at,
            path,
        );
        self.help(path);
    }

    fn object(&mut self, node: &Node, schema: &'static Value, path: &str, noun: &str) {
        let nothing = Vec::new();
        let entries = match &node.content {
            Content::Mapping(entries) => entries,
            // serde reads an empty value as an empty map, and so do people.
            _ if node.is_null() => &nothing,
            Content::Scalar { .. } | Content::Sequence(_) => {
                return self.wrong_kind(node, "a map of keys and values", path);
            }
        };
        let properties = schema.get("properties").and_then(Value::as_object);
        let values = schema::values(schema);
        let named = schema.get("patternProperties").is_some();
        let known: Vec<&str> = properties
            .into_iter()
            .flat_map(|map| map.keys().map(String::as_str))
            .collect();
        for entry in entries {
            let inner = join(path, &entry.key);
            if let Some(child) = properties.and_then(|map| map.get(&entry.key)) {
                self.node(&entry.value, child, &inner, format!("`{}`", entry.key));
            } else if let Some(child) = values {
                if named {
                    self.name(entry, &inner);
                }
                self.node(&entry.value, child, &inner, format!("`{}`", entry.key));
            } else {
                let message = if known.is_empty() {
                    format!("`{}` stands in {noun}, which has no keys", entry.key)
                } else {
                    format!("`{}` is not a key of {noun}", entry.key)
                };
                self.unknown(entry, message, &known, path);
            }
        }
        for required in schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !entries.iter().any(|entry| entry.key == required) {
                let at = self
                    .document
                    .key(path)
                    .or_else(|| self.document.value(path))
                    .or_else(|| Some(self.document.location(node.mark)));
                self.report(
                    "spec.missing-key",
                    format!("{noun} needs the key `{required}`"),
                    at,
                    path,
                );
                self.help(&join(path, required));
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, message: String, known: &[&str], path: &str) {
        let at = Some(self.document.location(entry.mark));
        self.report("spec.unknown-key", message, at, &join(path, &entry.key));
        self.label(spelling::suggestion(&entry.key, known));
        self.help(path);
    }

    fn name(&mut self, entry: &Entry, path: &str) {
        if let Err(error) = entry.key.parse::<ServiceName>() {
            let at = Some(self.document.location(entry.mark));
            self.report("spec.invalid-value", error.to_string(), at, path);
            self.label(name_meant(&entry.key));
            self.help(crate::document::parent(path).unwrap_or_default());
        }
    }

    fn array(&mut self, node: &Node, schema: &'static Value, path: &str) {
        let items = match &node.content {
            Content::Sequence(items) => items,
            _ if node.is_null() => return,
            Content::Scalar { .. } | Content::Mapping(_) => {
                return self.wrong_kind(node, "a list, each item after a `- `", path);
            }
        };
        if let Some(child) = schema.get("items") {
            for (at, item) in items.iter().enumerate() {
                self.node(item, child, &format!("{path}[{at}]"), "an item".to_owned());
            }
        }
    }

    /// A value of one of several kinds: a word, or a map with the kind as its only key.
    fn one_of(&mut self, node: &Node, ways: &'static [Value], path: &str, noun: &str) {
        let words: Vec<&str> = ways
            .iter()
            .filter_map(|way| way.get("const").and_then(Value::as_str))
            .collect();
        let kinds: Vec<(&str, &'static Value)> = ways
            .iter()
            .flat_map(|way| {
                way.get("properties")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                    .map(|(name, child)| (name.as_str(), child))
            })
            .collect();
        let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
        let all: Vec<&str> = words.iter().chain(&names).copied().collect();
        let at = self
            .document
            .value(path)
            .or_else(|| Some(self.document.location(node.mark)));
        match &node.content {
            Content::Scalar { text, .. } if words.contains(&text.as_str()) => {}
            Content::Scalar { text, .. } if !node.is_null() => {
                if names.contains(&text.as_str()) {
                    let message = format!("{noun} is written as a map: `{text}: {{…}}`");
                    self.report("spec.wrong-type", message, at, path);
                    self.label(Some(format!("write `{text}: {{}}`")));
                } else {
                    let message = if names.is_empty() {
                        format!("`{text}` is none of {}", spelling::listed(&words))
                    } else {
                        format!("`{text}` is not a kind of {}", bare(noun))
                    };
                    self.report("spec.invalid-value", message, at, path);
                    self.label(spelling::suggestion(text, &all));
                }
                self.help(path);
            }
            Content::Mapping(entries) if !names.is_empty() && !entries.is_empty() => {
                for entry in entries {
                    match kinds.iter().find(|(name, _)| *name == entry.key) {
                        Some((_, child)) => {
                            let noun = format!("`{}`", entry.key);
                            self.node(&entry.value, child, &join(path, &entry.key), noun);
                        }
                        None => {
                            let message = format!("`{}` is not a key of {noun}", entry.key);
                            self.unknown(entry, message, &names, path);
                        }
                    }
                }
                let mut taken = entries.iter().filter(|entry| names.contains(&entry.key.as_str()));
                if let (Some(first), Some(second)) = (taken.next(), taken.next()) {
                    let message = format!(
                        "{noun} is one thing, not `{}` and `{}` together",
                        first.key, second.key
                    );
                    let at = Some(self.document.location(second.mark));
                    self.report("spec.wrong-type", message, at, path);
                    let item = path.ends_with(']');
                    self.label(item.then(|| "begin another item with `- ` here".to_owned()));
                    self.help(path);
                }
            }
            _ => {
                let message = format!("{noun} must be one of {}", spelling::listed(&all));
                self.report("spec.wrong-type", message, at, path);
                self.help(path);
            }
        }
    }

    fn scalar(&mut self, node: &Node, schema: &Value, kinds: &[&str], path: &str) {
        let wanted = match kinds.first().copied() {
            Some("boolean") => "true or false",
            Some("integer") if kinds.contains(&"string") => "a number such as 2 or a share such as 25%",
            Some("integer") => "a whole number",
            Some("number") => "a number",
            _ => "a text",
        };
        let Content::Scalar { text, .. } = &node.content else {
            return self.wrong_kind(node, wanted, path);
        };
        if node.is_null() {
            return self.wrong_kind(node, wanted, path);
        }
        let fits = match kinds.first().copied() {
            Some("boolean") => is_boolean(text),
            Some("integer") if !kinds.contains(&"string") => {
                return self.integer(text, schema, path);
            }
            Some("number") => is_number(text),
            _ => return self.text(text, schema, path),
        };
        if !fits {
            self.report(
                "spec.wrong-type",
                format!("`{text}` is not {wanted}"),
                self.document.value(path),
                path,
            );
            self.help(path);
        }
    }

    fn integer(&mut self, text: &str, schema: &Value, path: &str) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64).map(i128::from);
        let (low, high) = (bound("minimum"), bound("maximum"));
        let (code, message) = match integer(text) {
            None => ("spec.wrong-type", format!("`{text}` is not a whole number")),
            Some(number) => {
                let message = match (low, high) {
                    (Some(low), Some(high)) if number < low || number > high => {
                        format!("{number} is not within {low} to {high}")
                    }
                    (Some(low), None) if number < low => {
                        format!("{number} is less than {low}, the least there can be")
                    }
                    (_, None) if number > i128::from(u32::MAX) => {
                        format!("{number} is more than anything there can be")
                    }
                    _ => return,
                };
                ("spec.invalid-value", message)
            }
        };
        self.report(code, message, self.document.value(path), path);
        let meant = text
            .trim_end_matches('%')
            .parse::<u64>()
            .ok()
            .filter(|_| text.ends_with('%'));
        self.label(meant.map(|number| format!("did you mean `{number}`?")));
        self.help(path);
    }

    fn text(&mut self, text: &str, schema: &Value, path: &str) {
        let format = schema.get("format").and_then(Value::as_str).unwrap_or("");
        let Some((message, label)) = refused(format, text) else {
            return;
        };
        self.report("spec.invalid-value", message, self.document.value(path), path);
        self.label(label);
        self.help(path);
    }
}

/// Why a text does not have its format, and what was probably meant.
fn refused(format: &str, text: &str) -> Option<(String, Option<String>)> {
    match format {
        "cutover-duration" => text
            .parse::<Span>()
            .err()
            .map(|error| (error.to_string(), duration_meant(text))),
        "cutover-hours" => text
            .parse::<OpenHours>()
            .err()
            .map(|error| (error.to_string(), None)),
        "cutover-day" => text.parse::<Day>().err().map(|error| (error.to_string(), None)),
        "cutover-zone" => ZoneName::try_from(text.to_owned())
            .err()
            .map(|error| (error.to_string(), zone_meant(text))),
        "cutover-name" => text
            .parse::<ServiceName>()
            .err()
            .map(|error| (error.to_string(), name_meant(text))),
        "cutover-ports" => PortRange::try_from(text.to_owned())
            .err()
            .map(|message| (message, None)),
        "cutover-count" => Count::try_from(CountText::new(text))
            .err()
            .map(|message| (message, None)),
        "cutover-contract-after" => ContractAfter::try_from(text.to_owned()).err().map(|message| {
            let near = spelling::nearest(text, ["manual", "nextUpgrade"])
                .map(|near| format!("did you mean `{near}`?"));
            (message, near.or_else(|| duration_meant(text)))
        }),
        _ => None,
    }
}

fn duration_meant(text: &str) -> Option<String> {
    let squeezed: String = text
        .to_lowercase()
        .split_whitespace()
        .collect::<String>()
        .replace("seconds", "s")
        .replace("second", "s")
        .replace("sec", "s")
        .replace("minutes", "m")
        .replace("minute", "m")
        .replace("min", "m")
        .replace("hours", "h")
        .replace("hour", "h")
        .replace("days", "d")
        .replace("day", "d");
    let squeezed = if squeezed.bytes().all(|b| b.is_ascii_digit()) {
        format!("{squeezed}s")
    } else {
        squeezed
    };
    squeezed
        .parse::<Span>()
        .is_ok()
        .then(|| format!("did you mean `{squeezed}`?"))
}

/// Zones are many, and people know their city.
fn zone_meant(text: &str) -> Option<String> {
    let names: Vec<String> = ZoneName::all().collect();
    let city = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let wanted = city(text);
    let same = names.iter().find(|name| city(name) == wanted);
    let near = || spelling::nearest(text, names.iter().map(String::as_str)).map(str::to_owned);
    same.cloned()
        .or_else(near)
        .map(|name| format!("did you mean `{name}`?"))
}

fn name_meant(text: &str) -> Option<String> {
    let meant: String = text
        .trim()
        .to_lowercase()
        .chars()
        .map(|c| if matches!(c, '_' | ' ' | '.') { '-' } else { c })
        .collect();
    meant
        .parse::<ServiceName>()
        .is_ok()
        .then(|| format!("did you mean `{meant}`?"))
}

/// The types that a schema allows, `null` apart.
fn kinds(schema: &Value) -> (Vec<&str>, bool) {
    let all: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let optional = all.contains(&"null");
    (all.into_iter().filter(|kind| *kind != "null").collect(), optional)
}

fn is_boolean(text: &str) -> bool {
    matches!(
        text.to_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    )
}

fn is_number(text: &str) -> bool {
    let text = text.trim().replace('_', "").to_lowercase();
    text.parse::<f64>().is_ok()
        || integer(&text).is_some()
        || matches!(text.trim_start_matches(['+', '-']), ".inf" | ".nan")
}

fn integer(text: &str) -> Option<i128> {
    let text = text.trim().replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let number = if let Some(hex) = digits.strip_prefix("0x") {
        i128::from_str_radix(hex, 16)
    } else if let Some(octal) = digits.strip_prefix("0o") {
        i128::from_str_radix(octal, 8)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i128::from_str_radix(binary, 2)
    } else {
        digits.parse()
    };
    number.ok().map(|number| sign * number)
}

/// What people call a definition: `CanaryStep` is a canary step.
fn noun_of(definition: &str) -> String {
    match definition {
        "Overlay" => return "an environment".to_owned(),
        "ServiceOverlay" => return "a service of an environment".to_owned(),
        "InlineAnalysis" => return "an analysis".to_owned(),
        "PauseStep" => return "a pause".to_owned(),
        "CanaryScale" => return "`setCanaryScale`".to_owned(),
        "HeaderRoute" => return "`setHeaderRoute`".to_owned(),
        "MirrorRoute" => return "`setMirrorRoute`".to_owned(),
        "Smoke" => return "a smoke test".to_owned(),
        "Health" | "Requires" | "Recreate" | "Rolling" | "Contract" | "Backup" => {
            return format!("`{}`", definition.to_lowercase());
        }
        "BlueGreen" => return "`blueGreen`".to_owned(),
        _ => {}
    }
    let mut words = String::new();
    for c in definition.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {words}")
}

/// Without its article.
fn bare(noun: &str) -> &str {
    noun.trim_start_matches("an ").trim_start_matches("a ")
}
