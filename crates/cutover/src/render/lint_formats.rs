//! Findings of the linter for other programs: SARIF 2.1.0, annotations of GitHub Actions, GitLab's code quality, JUnit.

use std::fmt::Write as _;

use cutover_model::{Digest, Severity};
use cutover_sql::lint::{Finding, RULES};
use serde_json::{Value, json};

/// SARIF 2.1.0.
pub(crate) fn sarif(findings: &[Finding]) -> Value {
    let level = |severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.summary },
                "fullDescription": { "text": rule.why },
                "help": { "text": rule.safe },
                "defaultConfiguration": { "level": level(rule.severity) },
                "properties": { "tags": [rule.family.word()] },
            })
        })
        .collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let mut result = json!({
                "ruleId": finding.rule,
                "level": level(finding.severity),
                "message": { "text": format!("{}. Instead: {}", finding.message, finding.help) },
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": { "uri": uri(&finding.file) },
                        "region": {
                            "startLine": finding.line,
                            "startColumn": finding.column,
                            "snippet": { "text": finding.statement },
                        },
                    },
                }],
                "partialFingerprints": { "statement/v1": fingerprint(finding) },
            });
            if let Some(at) = RULES.iter().position(|rule| rule.id == finding.rule) {
                result["ruleIndex"] = json!(at);
            }
            result
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "cutover", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// A path as a relative reference: what may not stand in one is encoded.
fn uri(file: &str) -> String {
    file.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// The same for the same statement, wherever in the file it stands.
fn fingerprint(finding: &Finding) -> String {
    let text = format!(
        "{}\n{}\n{}\n{}",
        finding.rule, finding.file, finding.statement, finding.message
    );
    Digest::of(text.as_bytes()).to_string()
}

/// `::error file=…::…`, one line a finding.
pub(crate) fn github(findings: &[Finding]) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    findings.iter().fold(String::new(), |mut out, finding| {
        let word = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let _ = writeln!(
            out,
            "::{word} file={},line={},col={},title={}::{}",
            property(&finding.file),
            finding.line,
            finding.column,
            property(&finding.rule),
            data(&format!("{}. Instead: {}", finding.message, finding.help)),
        );
        out
    })
}

/// GitLab's code quality report.
pub(crate) fn gitlab(findings: &[Finding]) -> Value {
    let all: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "description": format!("{}. Instead: {}", finding.message, finding.help),
                "check_name": finding.rule,
                "fingerprint": fingerprint(finding),
                "severity": match finding.severity {
                    Severity::Error => "critical",
                    Severity::Warning => "major",
                    Severity::Note => "info",
                },
                "location": { "path": finding.file, "lines": { "begin": finding.line } },
            })
        })
        .collect();
    Value::Array(all)
}

/// JUnit's XML: a test case a file, failed by its errors and warnings.
pub(crate) fn junit(files: &[&str], findings: &[Finding]) -> String {
    let of = |file: &str| {
        findings
            .iter()
            .filter(|finding| finding.file == file && finding.severity > Severity::Note)
            .collect::<Vec<_>>()
    };
    let failed = files.iter().filter(|file| !of(file).is_empty()).count();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"cutover migrate lint\" tests=\"{}\" failures=\"{failed}\">\n",
        files.len()
    );
    for file in files {
        let _ = writeln!(
            out,
            "    <testcase name=\"{}\" classname=\"migrations\">",
            xml(file)
        );
        for finding in of(file) {
            let _ = writeln!(
                out,
                "      <failure type=\"{}\" message=\"{}\">{}:{}:{} {}</failure>",
                xml(&finding.rule),
                xml(&finding.message),
                xml(&finding.file),
                finding.line,
                finding.column,
                xml(&finding.help),
            );
        }
        out.push_str("    </testcase>\n");
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn xml(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, one| {
        match one {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => out.push(one),
            // What XML 1.0 has no place for.
            control if control.is_control() => out.push('\u{fffd}'),
            _ => out.push(one),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_sql::Dialect;
    use cutover_sql::lint::{Input, Prior, lint};

    fn found() -> Vec<Finding> {
        lint(&Input {
            dialect: Dialect::Postgres,
            version: None,
            prior: &Prior::default(),
            file: "a b/1,2.sql",
            source: "-- x\nCREATE INDEX i ON \"a<b\" (c);",
            transaction: None,
        })
        .findings
    }

    #[test]
    fn sarif_names_rule_and_place() {
        let value = sarif(&found());
        let result = &value["runs"][0]["results"][0];
        assert_eq!(result["ruleId"], "create-index");
        let at = result["ruleIndex"].as_u64().unwrap();
        let rules = value["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
        assert_eq!(rules[usize::try_from(at).unwrap()]["id"], "create-index");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/1%2C2.sql");
        assert_eq!(place["region"]["startLine"], 2);
    }

    #[test]
    fn annotations_are_escaped() {
        let text = github(&found());
        assert!(
            text.starts_with("::error file=a b/1%2C2.sql,line=2,col=1,title=create-index::"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1);
        assert_eq!(gitlab(&found())[0]["location"]["lines"]["begin"], 2);
        let xml = junit(&["a b/1,2.sql", "ok.sql"], &found());
        assert!(
            xml.contains("failures=\"1\"") && xml.contains("a&lt;b") && !xml.contains("\"a<b"),
            "{xml}"
        );
    }
}
