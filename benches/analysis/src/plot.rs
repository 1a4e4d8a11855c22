//! The plot: requests exposed against how bad the candidate is, both logarithmic.

use std::fmt::Write as _;

/// One detector's line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Failing share of the candidate, and the median of requests exposed.
    pub points: Vec<(f64, u64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;
/// Told apart by people who do not see all colours (Okabe and Ito), and by their marks' labels.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// An SVG document.
#[must_use]
pub fn svg(title: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let top = points()
        .map(|(_, y)| *y as f64)
        .fold(10.0, f64::max)
        .log10()
        .ceil();
    let left = points().map(|(x, _)| *x).fold(1.0, f64::min).log10();
    let x = |share: f64| LEFT + (share.log10() - left) / -left.min(-1e-9) * (WIDTH - LEFT - RIGHT);
    let y = |count: f64| HEIGHT - BOTTOM - count.max(1.0).log10() / top * (HEIGHT - TOP - BOTTOM);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    for power in 0..=top as i32 {
        let count = 10f64.powi(power);
        let at = y(count);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{count}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0
        );
    }
    let mut shares: Vec<f64> = points().map(|(x, _)| *x).collect();
    shares.sort_by(f64::total_cmp);
    shares.dedup();
    for share in shares {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} %</text>",
            x(share),
            HEIGHT - BOTTOM + 20.0,
            (share * 1e4).round() / 1e2
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{:.1}\">of the candidate's requests fail; median of its requests until it got no more</text>",
        HEIGHT - 14.0
    );
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let path: Vec<String> = line
            .points
            .iter()
            .map(|(share, count)| format!("{:.1} {:.1}", x(*share), y(*count as f64)))
            .collect();
        let _ = writeln!(
            out,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join("L")
        );
        let row = TOP + 20.0 * index as f64;
        let _ = writeln!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            WIDTH - RIGHT + 12.0,
            row,
            WIDTH - RIGHT + 30.0,
            row + 10.0,
            line.name
        );
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_within_the_picture() {
        let lines = [Line {
            name: "one".to_owned(),
            points: vec![(0.005, 2_618), (0.1, 41), (1.0, 10)],
        }];
        let svg = svg("title", &lines);
        assert!(svg.contains("title") && svg.contains(">one<") && svg.contains("0.5 %"));
        let path = svg.split("d=\"M").last().unwrap().split('"').next().unwrap();
        for point in path.split('L') {
            let (x, y) = point.split_once(' ').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{x}");
            assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{y}");
        }
    }
}
