//! Whatever is written: an answer, never a panic, and one that the file can show.

use cutover_model::Diagnostic;
use cutover_spec::{init_template, parse_with_warnings, references, resolve, schema_at};
use proptest::prelude::*;

fn places_hold(text: &str, found: &[Diagnostic]) {
    for one in found {
        let Some(at) = &one.location else { continue };
        let lines = text.lines().count().max(1);
        assert!(at.line >= 1 && at.line <= lines, "{one:?}");
        assert!(at.length >= 1 && at.column >= 1, "{one:?}");
        assert!(
            at.column <= at.text.chars().count() + 1,
            "past the line's end: {one:?}"
        );
    }
}

/// Pieces that a person might put in the wrong place.
const PIECES: &[&str] = &[
    ":",
    "-",
    "\n",
    " ",
    "\t",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "<<: *a",
    "!t ",
    "|",
    ">",
    "~",
    "null",
    "${",
    "${env:A}",
    "$${",
    "}",
    "0",
    "-1",
    "999999999999999999999",
    "1e999",
    ".nan",
    "true",
    "5m",
    "é",
    "\u{feff}",
    "\u{0}",
    "canary",
    "rolling: {maxSurge: 0}",
    "setWeight: 300",
    "? ",
    "%YAML",
    "---\n",
    "...\n",
];

#[test]
fn other_line_ends_and_a_byte_order_mark_are_read() {
    let text = init_template("shop");
    let windows = text.replace('\n', "\r\n");
    let marked = format!("\u{feff}{text}");
    let plain = parse_with_warnings("f", &text).unwrap();
    assert_eq!(parse_with_warnings("f", &windows).unwrap(), plain);
    assert_eq!(parse_with_warnings("f", &marked).unwrap(), plain);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_file_gets_an_answer(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, prop::sample::select(PIECES)), 1..5),
    ) {
        let mut text = init_template("shop");
        for (at, cut, piece) in edits {
            let mut start = at.index(text.len());
            while !text.is_char_boundary(start) { start -= 1; }
            let mut end = (start + cut).min(text.len());
            while !text.is_char_boundary(end) { end += 1; }
            text.replace_range(start..end, piece);
        }
        match parse_with_warnings("f", &text) {
            Ok(parsed) => {
                places_hold(&text, &parsed.warnings);
                let at = parsed.application.at_version(&"1.0.0".parse().unwrap());
                prop_assert_eq!(at.services.len(), parsed.application.services.len());
                let written = serde_json::to_string(&parsed.application).unwrap();
                let read: cutover_spec::Application = serde_json::from_str(&written).unwrap();
                prop_assert_eq!(read, parsed.application);
            }
            Err(found) => {
                prop_assert!(!found.is_empty());
                places_hold(&text, &found);
            }
        }
    }

    #[test]
    fn any_text_gets_an_answer(text in "\\PC*|[a-z:\\-\\n {}\\[\\]&*!|>'\"#]{0,200}") {
        if let Err(found) = parse_with_warnings("f", &text) {
            places_hold(&text, &found);
        }
        let known = references(&text).len();
        let asked = std::cell::Cell::new(0);
        let count = |_: &cutover_spec::Reference| {
            asked.set(asked.get() + 1);
            Some(String::new())
        };
        if resolve(&text, &count).is_ok() {
            prop_assert_eq!(asked.get(), known);
        }
        if let Err(error) = schema_at(&text) {
            prop_assert_eq!(error.code, "spec.unknown-path");
        }
    }
}
