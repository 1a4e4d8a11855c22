//! The file that `cutover init` writes.

const TEMPLATE: &str = include_str!("template.yaml");

/// A commented `cutover.yaml` to start from; it is valid as it stands when the name is one (see
/// [`cutover_model::ApplicationName`]). The strategy and the analysis written out are the defaults, but for
/// `scaleDownDelay`.
#[must_use]
pub fn init_template(application: &str) -> String {
    TEMPLATE.replace("{application}", application)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Strategy, default_analysis, parse_with_warnings};

    #[test]
    fn the_start_is_valid_and_says_the_defaults() {
        let parsed = parse_with_warnings("cutover.yaml", &init_template("shop")).unwrap();
        assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
        let Strategy::Canary(canary) = &parsed.application.strategy else {
            panic!("a canary")
        };
        assert_eq!(canary.steps, crate::Canary::default().effective_steps());
        assert_eq!(canary.scale_down_delay, cutover_model::Span::from_hours(24));
        assert_eq!(parsed.application.analysis["standard"], default_analysis());
        assert_eq!(canary.analysis.as_ref().unwrap().template, "standard");
    }

    #[test]
    fn the_environments_are_valid_once_the_comment_is_taken_away() {
        let text = init_template("shop");
        let (start, environments) = text.split_once("# environments:\n").unwrap();
        let opened: String = environments
            .lines()
            .map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line)))
            .collect();
        let text = format!("{start}environments:\n{opened}");
        let parsed = parse_with_warnings("cutover.yaml", &text).unwrap();
        let staging = parsed
            .application
            .for_environment(&"staging".parse().unwrap())
            .unwrap();
        let service = staging.services.values().next().unwrap();
        assert_eq!(service.replicas, 1);
        assert_eq!(service.environment["LOG_LEVEL"], "debug");
        let main = staging.databases.values().next().unwrap();
        assert_eq!(main.url, "sqlite:./staging.db");
        assert!(main.migrations.is_some(), "only the address was replaced");
    }
}
