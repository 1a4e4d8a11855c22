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
}

/// What is judged.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct AnalyzeSource {
    /// A file with recorded requests, or with two series (`-` for standard input)
    #[arg(long, value_name = "FILE.json")]
    pub(crate) input: Option<PathBuf>,
    /// Where the service tells its figures as JSON
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}
