//! Arguments of analysis templates: those that are used are declared, and those that have no value are given one.

use std::collections::BTreeMap;

use cutover_model::{AnalysisTemplate, Metric};

use crate::Application;
use crate::findings::Findings;

/// How an argument begins where it is used.
const USE: &str = "${args.";

/// A template with something for each argument, so that what it is filled into can be checked. What is used and not
/// declared is said.
pub(super) fn filled(at: &str, template: &AnalysisTemplate, findings: &mut Findings<'_>) -> AnalysisTemplate {
    let open = template.args.iter().filter(|(_, value)| value.is_none());
    let stand_ins = open.map(|(name, _)| (name.clone(), "0".to_owned())).collect();
    let mut filled = template.clone().with_arguments(&stand_ins);
    for (index, metric) in filled.metrics.iter_mut().enumerate() {
        let path = format!("{at}.metrics[{index}].{}", metric.name());
        for text in Metric::texts(metric) {
            let Some((_, rest)) = text.split_once(USE) else {
                continue;
            };
            let name = rest.split('}').next().unwrap_or_default().to_owned();
            findings
                .error(
                    "spec.unknown-placeholder",
                    &path,
                    format!("`{USE}{name}}}` stands for nothing: the template has no such argument"),
                )
                .label(format!("add `args: {{{name}: null}}` to the template"));
        }
    }
    filled
}

/// Where a template is named, everything is given that it asks for, and nothing else.
pub(super) fn given(
    application: &Application,
    path: &str,
    name: &str,
    args: &BTreeMap<String, String>,
    findings: &mut Findings<'_>,
) {
    let Some(template) = application.analysis.get(name) else {
        return;
    };
    for arg in args.keys() {
        let names = template.args.keys().map(String::as_str);
        let path = format!("{path}.args.{arg}");
        super::known(findings, &path, "argument of the template", arg, names);
    }
    for arg in template.args.iter().filter(|(_, value)| value.is_none()) {
        let arg = arg.0;
        if !args.contains_key(arg) {
            findings
                .error(
                    "spec.missing-key",
                    path,
                    format!("`{name}` asks for its argument `{arg}`"),
                )
                .label(format!("add `args: {{{arg}: …}}`"));
        }
    }
}
