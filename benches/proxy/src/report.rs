//! What was measured, for people and for programs.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::killing;
use crate::peers::{Found, Kind};
use crate::switching;
use crate::trial::{Cell, SHAPES, Shape};

/// Everything, as it is written to `proxy.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    versions: Vec<(&'static str, String)>,
    cores: usize,
    pub(crate) cost: Vec<Cell>,
    pub(crate) switches: Vec<switching::Row>,
    pub(crate) kills: Vec<killing::Row>,
}

impl Report {
    pub(crate) fn new(found: &[Found]) -> Self {
        Self {
            versions: found
                .iter()
                .map(|one| (one.kind.name(), one.version.clone()))
                .collect(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cost: Vec::new(),
            switches: Vec::new(),
            kills: Vec::new(),
        }
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let versions: Vec<_> = self
            .versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        writeln!(out, "{}\n", versions.join(", "))?;
        if !self.cost.is_empty() {
            writeln!(
                out,
                "CPU seconds per 100,000 requests / ratio to nginx / to HAProxy\n"
            )?;
            let cell = |cell: &Cell| {
                let ratios = [cell.cpu_to_nginx, cell.cpu_to_haproxy].map(ratio).join(" / ");
                format!("{:.2} / {ratios}", cell.cpu_seconds_per_100k)
            };
            self.table(out, &cell)?;
            writeln!(out, "\np50 / p99 in ms / p99 to nginx's; requests per second\n")?;
            let cell = |cell: &Cell| {
                let failed = if cell.failed > 0 {
                    format!("; {} FAILED", cell.failed)
                } else {
                    String::new()
                };
                format!(
                    "{:.2} / {:.2} / {}; {:.0}{failed}",
                    cell.p50_ms,
                    cell.p99_ms,
                    ratio(cell.p99_to_nginx),
                    cell.requests_per_second
                )
            };
            self.table(out, &cell)?;
        }
        if !self.switches.is_empty() {
            writeln!(
                out,
                "\n| switch | clients | switches | answered | failed reads | failed writes | reconnects | command p50 | last answer of the old version p50 / p99 |"
            )?;
            writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
            for row in &self.switches {
                writeln!(
                    out,
                    "| {}, {} | {} | {} | {} | {} | {} | {} | {:.1} ms | {:.1} / {:.1} ms |",
                    row.proxy,
                    row.command,
                    if row.keep_alive { "keep-alive" } else { "close" },
                    row.switches,
                    row.answered,
                    row.failed_reads,
                    row.failed_writes,
                    row.reconnects,
                    row.command_p50_ms,
                    row.tail_p50_ms,
                    row.tail_p99_ms,
                )?;
            }
        }
        if !self.kills.is_empty() {
            writeln!(
                out,
                "\n| kill | kills | answered | failed reads | failed writes | writes done twice | answered, not done | longest answer |"
            )?;
            writeln!(out, "|---|---|---|---|---|---|---|---|")?;
            for row in &self.kills {
                writeln!(
                    out,
                    "| {} | {} | {} | {} | {} | {} | {} | {:.0} ms |",
                    row.proxy,
                    row.kills,
                    row.answered,
                    row.failed_reads,
                    row.failed_writes,
                    row.repeated_writes,
                    row.lost_writes,
                    row.longest_ms,
                )?;
            }
        }
        Ok(())
    }

    fn table(&self, out: &mut String, text: &dyn Fn(&Cell) -> String) -> std::fmt::Result {
        let heads = SHAPES.map(|shape| format!("{}, {} connections", size(shape), shape.connections));
        writeln!(out, "| | {} |\n|---|---|---|---|---|", heads.join(" | "))?;
        for (name, _) in &self.versions {
            let cells = self.cost.iter().filter(|cell| cell.proxy == *name);
            let cells: Vec<_> = cells.map(text).collect();
            writeln!(out, "| {name} | {} |", cells.join(" | "))?;
        }
        Ok(())
    }

    /// # Errors
    /// If the proxy in question lost what it must not lose: then the bench has failed, not only been slow.
    pub(crate) fn broken(&self) -> Result<()> {
        let ours = Kind::Cutover.name();
        let cost = self.cost.iter().filter(|cell| cell.proxy == ours);
        let failed: u64 = cost.map(|cell| cell.failed).sum();
        if failed > 0 {
            bail!("{failed} requests failed under constant load");
        }
        for row in self.switches.iter().filter(|row| row.proxy == ours) {
            if row.failed_reads + row.failed_writes > 0 {
                bail!(
                    "switches lost {} reads and {} writes",
                    row.failed_reads,
                    row.failed_writes
                );
            }
        }
        for row in self.kills.iter().filter(|row| row.proxy == ours) {
            if row.failed_reads > 0 || row.repeated_writes > 0 || row.lost_writes > 0 {
                bail!(
                    "kills lost {} reads, repeated {} writes and lost {} that were answered",
                    row.failed_reads,
                    row.repeated_writes,
                    row.lost_writes
                );
            }
        }
        Ok(())
    }
}

pub(crate) fn size(shape: Shape) -> String {
    if shape.body_bytes < 1024 {
        format!("{} B", shape.body_bytes)
    } else {
        format!("{} KiB", shape.body_bytes / 1024)
    }
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("**{ratio:.2}**"))
}
