//! Everything that a person sees: values in, text out.
//!
//! All layout is done by pure functions, so that it is tested as text; [`Printer`] and [`Live`] are the only places
//! that write. Nothing here asks a store, a router or a clock: what is shown is passed in.

mod address;
mod chart;
mod diagnostic;
mod frame;
mod history;
mod keys;
mod lines;
mod lint;
mod lint_formats;
mod live;
mod plan;
mod printer;
mod proxy;
mod report;
mod report_json;
mod stages;
mod status;
mod story;
mod style;
mod telling;
mod text;
mod traffic;
mod verdicts;
mod words;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod shop_plans;

pub(crate) use address::{Address, quoted};
pub(crate) use chart::{chart, svg};
pub(crate) use diagnostic::{diagnostic, diagnostics, some_diagnostics};
pub(crate) use frame::{View, frame};
pub(crate) use history::history;
pub(crate) use keys::{Ask, Asking, press};
pub(crate) use lines::Lines;
pub(crate) use lint::{rule_list, rule_page, rules_page};
pub(crate) use lint_formats::{github, gitlab, junit, sarif};
pub(crate) use live::{Keys, Live};
pub(crate) use plan::{nothing, plan, refused, same_version};
pub(crate) use printer::{Colour, Output, Printer};
pub(crate) use proxy::proxy;
pub(crate) use report::{Run, report};
pub(crate) use report_json::report_json;
pub(crate) use status::{Status, status};
pub(crate) use story::story;
pub(crate) use traffic::{Sample, ServiceTraffic, Traffic};
pub(crate) use verdicts::{Judgement, decided};
pub(crate) use words::count;
