//! The cost as bars: one group a load, one bar a proxy.

use std::fmt::Write as _;

use crate::report::size;
use crate::trial::{Cell, SHAPES};

const WIDTH: f64 = 720.0;
const LEFT: f64 = 90.0;
const BAR: f64 = 18.0;
const GROUP_GAP: f64 = 34.0;

/// Drawn for light and dark backgrounds.
pub(crate) fn draw(cells: &[Cell]) -> String {
    let most = cells
        .iter()
        .map(|cell| cell.cpu_seconds_per_100k)
        .fold(0.1, f64::max);
    let mut body = String::new();
    let mut y = 40.0;
    for shape in SHAPES {
        let same = |cell: &&Cell| {
            cell.shape.body_bytes == shape.body_bytes && cell.shape.connections == shape.connections
        };
        let _ = writeln!(
            body,
            "<text x=\"8\" y=\"{y}\" font-weight=\"bold\">{}, {} connections</text>",
            size(shape),
            shape.connections
        );
        y += 8.0;
        for cell in cells.iter().filter(same) {
            let length = cell.cpu_seconds_per_100k / most * (WIDTH - LEFT - 170.0);
            let colour = if cell.proxy == "Cutover" {
                "#2f7fd6"
            } else {
                "#9aa4af"
            };
            let ratio = cell
                .cpu_to_nginx
                .map_or_else(String::new, |ratio| format!("  {ratio:.2} of nginx"));
            let text = y + BAR - 5.0;
            let _ = writeln!(
                body,
                "<text x=\"{:.0}\" y=\"{text:.0}\" text-anchor=\"end\">{}</text>\
                 <rect x=\"{LEFT}\" y=\"{:.0}\" width=\"{length:.1}\" height=\"{}\" rx=\"2\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{text:.0}\">{:.2} s{ratio}</text>",
                LEFT - 6.0,
                cell.proxy,
                y,
                BAR - 3.0,
                LEFT + length + 6.0,
                cell.cpu_seconds_per_100k
            );
            y += BAR;
        }
        y += GROUP_GAP;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>text {{ fill: #333 }} @media (prefers-color-scheme: dark) {{ text {{ fill: #ddd }} }}</style>\n\
         <text x=\"8\" y=\"16\">CPU seconds per 100,000 requests, one core, metrics on (less is better)</text>\n{body}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bar_a_cell() {
        let cell = |proxy| Cell {
            proxy,
            shape: SHAPES[0],
            cpu_seconds_per_100k: 1.5,
            cpu_to_nginx: Some(1.0),
            cpu_to_haproxy: None,
            p50_ms: 0.1,
            p99_ms: 0.2,
            p99_to_nginx: None,
            requests_per_second: 1.0,
            failed: 0,
        };
        let svg = draw(&[cell("Cutover"), cell("nginx")]);
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(svg.contains("1.50 s  1.00 of nginx"), "{svg}");
    }
}
