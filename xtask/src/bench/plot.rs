//! The plots: SVG files beside `docs/performance.md`.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::growth::Series;

/// A colour for each of those that are compared.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x1b, 0x6c, 0xa8),
    RGBColor(0xc8, 0x55, 0x3d),
    RGBColor(0x6b, 0x8f, 0x3a),
    RGBColor(0x7d, 0x5b, 0xa6),
    RGBColor(0xb5, 0x8a, 0x1a),
    RGBColor(0x55, 0x55, 0x55),
];

const FONT: &str = "sans-serif";

/// Bars in groups: `names` are those that are compared, and each group has a value for each, or none.
pub fn bars(file: &Path, title: &str, names: &[&str], groups: &[(String, Vec<Option<f64>>)]) -> Result<()> {
    draw_bars(file, title, names, groups).map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
}

fn draw_bars(
    file: &Path,
    title: &str,
    names: &[&str],
    groups: &[(String, Vec<Option<f64>>)],
) -> Result<(), Box<dyn std::error::Error>> {
    let height = 90 + 46 * groups.len() as u32;
    let root = SVGBackend::new(file, (900, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let most = groups.iter().flat_map(|group| group.1.iter().flatten()).copied().fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption(title, (FONT, 18))
        .margin(12)
        .set_label_area_size(LabelAreaPosition::Left, 300)
        .set_label_area_size(LabelAreaPosition::Bottom, 40)
        .build_cartesian_2d(0.0..most * 1.1, 0.0..groups.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&whole)
        .x_desc("instructions")
        .draw()?;
    let width = 0.8 / names.len() as f64;
    let place = |group: usize, which: usize| groups.len() as f64 - group as f64 - 0.1 - which as f64 * width;
    for (which, name) in names.iter().enumerate() {
        let colour = COLOURS[which % COLOURS.len()];
        let bars = groups.iter().enumerate().filter_map(|(group, (_, values))| {
            let top = place(group, which);
            values[which].map(|value| Rectangle::new([(0.0, top - width), (value, top)], colour.filled()))
        });
        let swatch = move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled());
        chart.draw_series(bars)?.label(*name).legend(swatch);
        let numbers = groups.iter().enumerate().filter_map(|(group, (_, values))| {
            let at = (values[which]? + most * 0.008, place(group, which) - width * 0.12);
            Some(Text::new(format!("{:.0}", values[which]?), at, (FONT, 11)))
        });
        chart.draw_series(numbers)?;
    }
    for (group, (label, _)) in groups.iter().enumerate() {
        let (_, y) = chart.backend_coord(&(0.0, groups.len() as f64 - group as f64 - 0.5));
        root.draw(&Text::new(label.clone(), (16, y - 6), (FONT, 13)))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    root.present()?;
    Ok(())
}

/// A number of instructions on an axis.
fn whole(value: &f64) -> String {
    format!("{value:.0}")
}

/// Lines over one scale. Above them there is room for their names.
pub fn lines(file: &Path, title: &str, scale: &str, is_doubling: bool, series: &[&Series]) -> Result<()> {
    draw_lines(file, title, scale, is_doubling, series)
        .map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
}

fn draw_lines(
    file: &Path,
    title: &str,
    scale: &str,
    is_doubling: bool,
    series: &[&Series],
) -> Result<(), Box<dyn std::error::Error>> {
    // A scale that doubles is drawn by how often.
    let at = |x: u32| if is_doubling { f64::from(x).log2() } else { f64::from(x) };
    let root = SVGBackend::new(file, (760, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let points = || series.iter().flat_map(|series| series.points.iter());
    let most = points().map(|point| point.1).fold(1.0, f64::max);
    let (first, last) =
        points().fold((f64::MAX, 0.0_f64), |(first, last), point| (first.min(at(point.0)), last.max(at(point.0))));
    let mut chart = ChartBuilder::on(&root)
        .caption(title, (FONT, 18))
        .margin(12)
        .set_label_area_size(LabelAreaPosition::Left, 50)
        .set_label_area_size(LabelAreaPosition::Bottom, 40)
        .build_cartesian_2d(first..last, 0.0..most * (1.1 + 0.06 * series.len() as f64))?;
    let name = |x: &f64| format!("{:.0}", if is_doubling { x.exp2() } else { *x });
    chart
        .configure_mesh()
        .x_labels((last - first).round() as usize + 1)
        .x_label_formatter(&name)
        .y_label_formatter(&whole)
        .x_desc(scale)
        .y_desc("instructions")
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (which, series) in series.iter().enumerate() {
        let colour = COLOURS[which % COLOURS.len()];
        let points: Vec<(f64, f64)> = series.points.iter().map(|&(x, y)| (at(x), y)).collect();
        let swatch = move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2));
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(series.title.replace('`', ""))
            .legend(swatch);
        chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    root.present()?;
    Ok(())
}
