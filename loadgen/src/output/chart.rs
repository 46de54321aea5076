//! Line charts as SVG text, drawn by plotters; no file, no font, no script.

use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

/// Colours that stay apart for the colour-blind (Okabe and Ito, <https://jfly.uni-koeln.de/color/>).
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

const SIZE: (u32, u32) = (900, 320);
const GRID: RGBColor = RGBColor(226, 230, 236);
const TEXT: RGBColor = RGBColor(60, 68, 82);

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// One line.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// A chart of lines over the same axes.
pub(super) struct Chart<'a> {
    pub(super) x_title: &'a str,
    pub(super) lines: Vec<Line>,
    /// How a value of an axis is written.
    pub(super) x_text: fn(f64) -> String,
    pub(super) y_text: fn(f64) -> String,
    /// Powers of ten at equal distances, on both axes.
    pub(super) logarithmic: bool,
}

impl Chart<'_> {
    /// The picture; none if there is nothing to draw.
    pub(super) fn svg(&self) -> Option<String> {
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        let max = |of: fn((f64, f64)) -> f64| points().map(of).reduce(f64::max);
        let min = |of: fn((f64, f64)) -> f64| points().map(of).reduce(f64::min);
        let (x, y) = ((min(|p| p.0)?, max(|p| p.0)?), (min(|p| p.1)?, max(|p| p.1)?));
        let mut svg = String::new();
        self.draw_on(&SVGBackend::with_string(&mut svg, SIZE).into_drawing_area(), x, y)?;
        Some(svg)
    }

    fn draw_on(&self, root: &Area<'_>, x: (f64, f64), y: (f64, f64)) -> Option<()> {
        let mut builder = ChartBuilder::on(root);
        builder.margin(8).x_label_area_size(42).y_label_area_size(76);
        if self.logarithmic {
            let x = (x.0.max(1.0)..x.1.max(10.0)).log_scale();
            let y = (y.0.max(1.0)..(y.1 * 1.2).max(10.0)).log_scale();
            self.draw(builder.build_cartesian_2d(x, y).ok()?)?;
        } else {
            let x = x.0.min(0.0)..x.1.max(1.0);
            let y = 0.0..(y.1 * 1.1).max(1.0);
            self.draw(builder.build_cartesian_2d(x, y).ok()?)?;
        }
        root.present().ok()
    }

    fn draw<'a, X, Y>(&self, mut chart: ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>) -> Option<()>
    where
        X: Ranged<ValueType = f64> + ValueFormatter<f64>,
        Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let style = ("sans-serif", 13).into_font().color(&TEXT);
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .label_style(style.clone())
            .x_desc(self.x_title)
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&|value| (self.x_text)(*value))
            .y_label_formatter(&|value| (self.y_text)(*value))
            .draw()
            .ok()?;
        for (line, color) in self.lines.iter().zip(COLORS.iter().cycle()) {
            let series = LineSeries::new(line.points.iter().copied(), color.stroke_width(2));
            let drawn = chart.draw_series(series).ok()?;
            drawn
                .label(line.label.clone())
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], color.stroke_width(3)));
        }
        chart
            .configure_series_labels()
            // Where lines that rise, and those that begin with a peak, are not.
            .position(if self.logarithmic {
                SeriesLabelPosition::LowerRight
            } else {
                SeriesLabelPosition::UpperRight
            })
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .label_font(style)
            .draw()
            .ok()
    }
}
