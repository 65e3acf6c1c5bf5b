//! The plots of the manual: one fleet, one scenario, all ways.

use crate::report::FIRST;
use crate::run::{Moment, watch};
use crate::scenario::Scenario;
use crate::way::Way;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

const SITES: usize = 20;
const SIZE: (u32, u32) = (860, 560);
/// A point of a line is the mean of so many seconds.
const POINT: usize = 120;
const HOURS: f64 = 4.0;

type Outcome = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A way, and a value for each point of its line.
type Line = (Way, Vec<f64>);

/// Writes a plot for each scenario of the manual into a folder.
///
/// # Errors
/// What kept a file from being written.
pub fn plots(folder: &Path) -> Outcome {
    let scenarios = [
        (Scenario::FlashCrowd, "flash-crowd"),
        (Scenario::OneSite, "one-site"),
        (Scenario::AllSites, "all-sites"),
        (Scenario::Rolling, "rolling"),
        (Scenario::SiteLoss, "site-lost"),
    ];
    for (scenario, name) in scenarios {
        let mut lines: [Vec<Line>; 2] = Default::default();
        for way in Way::ALL {
            let mut moments = Vec::new();
            watch(SITES, FIRST, scenario, way, |moment| moments.push(moment));
            let [unanswered, away] = &mut lines;
            unanswered.push((way, means(&moments, |moment| 100.0 * moment.unanswered)));
            away.push((way, means(&moments, |moment| moment.away as f64)));
        }
        let file = folder.join(format!("fleet-{name}.svg"));
        let root = SVGBackend::new(&file, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let titled = root.titled(&format!("{}, {SITES} sites", scenario.name()), ("sans-serif", 18))?;
        let (above, below) = titled.split_vertically(SIZE.1 / 2);
        let [unanswered, away] = &lines;
        draw_shares(&above, unanswered)?;
        draw_sites(&below, away)?;
        root.present()?;
    }
    Ok(())
}

fn means(moments: &[Moment], of: impl Fn(&Moment) -> f64) -> Vec<f64> {
    moments.chunks(POINT).map(|chunk| chunk.iter().map(&of).sum::<f64>() / chunk.len() as f64).collect()
}

/// From a hundredth of a percent on, each ten times as much as far from the last.
fn draw_shares(area: &Area<'_>, lines: &[Line]) -> Outcome {
    const LEAST: f64 = 0.01;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(30)
        .y_label_area_size(46)
        .build_cartesian_2d(0.0..HOURS, (LEAST..100.0).log_scale())?;
    chart.configure_mesh().light_line_style(TRANSPARENT).x_desc("hours").y_desc("% of queries unanswered").draw()?;
    for (way, values) in lines {
        let points = values.iter().enumerate().map(|(point, &value)| (hour(point), value.max(LEAST)));
        chart.draw_series(LineSeries::new(points, style(*way)))?;
    }
    Ok(())
}

fn draw_sites(area: &Area<'_>, lines: &[Line]) -> Outcome {
    let most = lines.iter().flat_map(|(_, values)| values).copied().fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(30)
        .y_label_area_size(46)
        .build_cartesian_2d(0.0..HOURS, 0.0..most * 1.1)?;
    chart.configure_mesh().light_line_style(TRANSPARENT).x_desc("hours").y_desc("sites not plain").draw()?;
    for (way, values) in lines {
        let style = style(*way);
        let points = values.iter().enumerate().map(|(point, &value)| (hour(point), value));
        let drawn = chart.draw_series(LineSeries::new(points, style))?;
        drawn.label(way.name()).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    let labels = &mut chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperRight).background_style(WHITE.mix(0.8)).draw()?;
    Ok(())
}

fn hour(point: usize) -> f64 {
    (point * POINT) as f64 / 3600.0
}

fn style(way: Way) -> ShapeStyle {
    let ours = matches!(way, Way::Ours | Way::OursByEvidence);
    colour(way).stroke_width(if ours { 3 } else { 1 })
}

const fn colour(way: Way) -> RGBColor {
    match way {
        Way::Nothing => RGBColor(130, 130, 130),
        Way::Threshold(engine::Action::Withdraw) => RGBColor(200, 60, 40),
        Way::Threshold(_) => RGBColor(230, 150, 20),
        Way::UpDown => RGBColor(130, 60, 170),
        Way::Ours => RGBColor(20, 110, 60),
        Way::OursByEvidence => RGBColor(40, 90, 200),
    }
}
