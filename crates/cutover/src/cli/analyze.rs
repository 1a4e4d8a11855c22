//! What `cutover analyze` takes.

use std::path::PathBuf;

use clap::Args;
use cutover_model::Span;

#[derive(Debug, Args)]
pub(crate) struct Analyze {
    #[command(flatten)]
    pub(crate) source: AnalyzeSource,
    /// Also draw both revisions with the moment of decision into this file
    #[arg(long, value_name = "FILE.svg", requires = "input")]
    pub(crate) chart: Option<PathBuf>,
    /// The service fails above so many errors in per cent
    #[arg(long, value_name = "PERCENT", requires = "url")]
    pub(crate) max_error_rate: Option<f64>,
    /// The service fails above this mean answer time in milliseconds
    #[arg(long, value_name = "MS", requires = "url")]
    pub(crate) max_avg_ms: Option<f64>,
    /// Judge what happens within this time, instead of all since the service's start
    #[arg(long, value_name = "TIME", default_value = "0s", requires = "url")]
    pub(crate) window: Span,
    #[command(flatten)]
    pub(crate) measured: Measured,
}

/// What is judged.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct AnalyzeSource {
    /// A file with recorded requests, with two series, or with metrics for a score (`-` for standard input)
    #[arg(long, value_name = "FILE.json")]
    pub(crate) input: Option<PathBuf>,
    /// Where the service tells its figures as JSON
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Where a Prometheus is that measured both revisions
    #[arg(long, value_name = "URL", requires_all = ["experiment", "control"])]
    pub(crate) prometheus: Option<String>,
}

/// Two series of a Prometheus, and how they are compared: the options of `mannWhitney` in a file.
#[derive(Debug, Args)]
pub(crate) struct Measured {
    /// PromQL for the candidate's series; it must give one
    #[arg(long, value_name = "QUERY", requires = "prometheus")]
    pub(crate) experiment: Option<String>,
    /// PromQL for stable's series
    #[arg(long, value_name = "QUERY", requires = "prometheus")]
    pub(crate) control: Option<String>,
    /// How far back
    #[arg(long, value_name = "TIME", default_value = "1h", requires = "prometheus")]
    pub(crate) since: Span,
    /// Between two points
    #[arg(long, value_name = "TIME", default_value = "1m", requires = "prometheus")]
    pub(crate) step: Span,
    /// A field of the requests, such as 'Authorization: Bearer ${env:TOKEN}'; repeatable
    #[arg(long, value_name = "NAME: VALUE", requires = "prometheus")]
    pub(crate) header: Vec<String>,
    /// Which change is a bad one
    #[arg(long, value_parser = ["increase", "decrease", "either"], requires = "prometheus")]
    pub(crate) direction: Option<String>,
    /// The part of the estimated shift that the interval must be away from none
    #[arg(long, value_name = "PART", requires = "prometheus")]
    pub(crate) tolerance: Option<f64>,
    /// Of the interval
    #[arg(long, value_name = "PART", requires = "prometheus")]
    pub(crate) confidence: Option<f64>,
    /// How the size of a change is measured
    #[arg(long, value_parser = ["meanRatio", "cles"], requires = "prometheus")]
    pub(crate) effect_size_measure: Option<String>,
    /// The effect size from which an increase counts
    #[arg(long, value_name = "SIZE", requires = "prometheus")]
    pub(crate) allowed_increase: Option<f64>,
    /// The effect size down to which a decrease counts
    #[arg(long, value_name = "SIZE", requires = "prometheus")]
    pub(crate) allowed_decrease: Option<f64>,
    /// High, Low and Nodata are critical failures
    #[arg(long, requires = "prometheus")]
    pub(crate) critical: bool,
    /// With `--critical`: the effect size from which an increase is one
    #[arg(long, value_name = "SIZE", requires = "critical")]
    pub(crate) critical_increase: Option<f64>,
    /// With `--critical`: the effect size down to which a decrease is one
    #[arg(long, value_name = "SIZE", requires = "critical")]
    pub(crate) critical_decrease: Option<f64>,
    /// A side without any point is Nodata, also where missing points count as 0
    #[arg(long, requires = "prometheus")]
    pub(crate) must_have_data: bool,
    /// What a missing point counts as
    #[arg(long, value_parser = ["remove", "replace"], requires = "prometheus")]
    pub(crate) nan_strategy: Option<String>,
}
