//! What the looks of the last minute saw, for the plot: sums, and the few owners that stand out.

use std::collections::{HashMap, VecDeque};

use egui_plot::PlotPoint;

use super::look::{Look, Use};
use super::tree::TagTree;

/// Looks that are remembered: a minute at the usual rate.
const POINTS: usize = 240;
/// Owners that are remembered of each look.
const REMEMBERED: usize = 12;
/// Series that have a name; what else there is is added up.
pub const NAMED: usize = 7;

/// What the plot shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Measure {
    #[default]
    FrameBySystem,
    LiveByKind,
    CallsBySystem,
}

impl Measure {
    pub const ALL: [Self; 3] = [Self::FrameBySystem, Self::LiveByKind, Self::CallsBySystem];

    pub fn title(self) -> &'static str {
        match self {
            Self::FrameBySystem => "Frame memory by system",
            Self::LiveByKind => "Live memory by kind",
            Self::CallsBySystem => "Heap calls by system",
        }
    }

    pub fn is_bytes(self) -> bool {
        self != Self::CallsBySystem
    }
}

struct Point {
    /// Seconds since the first.
    at: f64,
    frame: Top,
    calls: Top,
    kinds: [f64; 4],
}

/// The greatest of some figures by owner, and the sum of all.
struct Top {
    owners: Vec<(u32, f64)>,
    sum: f64,
}

impl Top {
    fn of(look: &Look, figure: impl Fn(&Use) -> u64) -> Self {
        let mut sum = 0;
        let mut owners: Vec<(u64, u32)> = Vec::with_capacity(look.owned.len());
        for (used, place) in look.owned.iter().zip(0..) {
            let figure = figure(used);
            if figure != 0 {
                sum += figure;
                owners.push((figure, place));
            }
        }
        if owners.len() > REMEMBERED {
            owners.select_nth_unstable_by(REMEMBERED, |a, b| b.cmp(a));
            owners.truncate(REMEMBERED);
        }
        let rate = |(figure, place)| (place, look.rate(figure));
        Self {
            owners: owners.into_iter().map(rate).collect(),
            sum: look.rate(sum),
        }
    }
}

/// One band of the plot, with a figure for each point in time.
pub struct Series {
    pub name: String,
    pub tops: Vec<f64>,
    /// The same, over time.
    pub edge: Vec<PlotPoint>,
    /// The newest figure, not stacked.
    pub newest: f64,
}

/// What the plot shows, made once figures were read.
pub struct Stacked {
    measure: Measure,
    /// When each figure was, in seconds from the newest.
    pub times: Vec<f64>,
    /// The bands, from the bottom up, stacked on one another.
    pub series: Vec<Series>,
}

#[derive(Default)]
pub struct History {
    points: VecDeque<Point>,
    stacked: Option<Stacked>,
}

impl History {
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn push(&mut self, look: &Look) {
        self.stacked = None;
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        let at = self
            .points
            .back()
            .map_or(0.0, |last| last.at + look.seconds);
        let total = look.total();
        self.points.push_back(Point {
            at,
            frame: Top::of(look, |used| used.frame),
            calls: Top::of(look, |used| used.calls),
            kinds: [
                look.frame_bytes(),
                look.pool_live() as f64,
                total.heap as f64,
                total.global as f64,
            ],
        });
    }

    pub fn stacked(&mut self, measure: Measure, tree: &TagTree) -> &Stacked {
        let known = self.stacked.take();
        let known = known.filter(|stacked| stacked.measure == measure);
        let stacked = known.unwrap_or_else(|| self.stack(measure, tree));
        self.stacked.insert(stacked)
    }

    fn stack(&self, measure: Measure, tree: &TagTree) -> Stacked {
        let newest = self.points.back().map_or(0.0, |point| point.at);
        let times: Vec<f64> = self.points.iter().map(|point| point.at - newest).collect();
        let bands: Vec<(String, Vec<f64>)> = match measure {
            Measure::LiveByKind => ["frames", "pools", "heap", "global allocator"]
                .iter()
                .enumerate()
                .map(|(kind, name)| {
                    let figures = self.points.iter().map(|point| point.kinds[kind]);
                    ((*name).to_owned(), figures.collect())
                })
                .collect(),
            Measure::FrameBySystem => self.by_owner(tree, |point| &point.frame),
            Measure::CallsBySystem => self.by_owner(tree, |point| &point.calls),
        };
        let mut floor = vec![0.0; times.len()];
        let series = bands.into_iter().map(|(name, figures)| {
            for (floor, figure) in floor.iter_mut().zip(&figures) {
                *floor += figure;
            }
            let edge = times.iter().zip(&floor);
            Series {
                name,
                newest: figures.last().copied().unwrap_or(0.0),
                edge: edge.map(|(&x, &y)| PlotPoint::new(x, y)).collect(),
                tops: floor.clone(),
            }
        });
        Stacked {
            measure,
            series: series.collect(),
            times,
        }
    }

    fn by_owner(&self, tree: &TagTree, top: impl Fn(&Point) -> &Top) -> Vec<(String, Vec<f64>)> {
        let mut sums: HashMap<u32, f64> = HashMap::new();
        for point in &self.points {
            for &(owner, figure) in &top(point).owners {
                *sums.entry(owner).or_default() += figure;
            }
        }
        let mut owners: Vec<(u32, f64)> = sums.into_iter().collect();
        owners.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        owners.truncate(NAMED);
        // In the order of their tags, so that bands do not change places as figures do.
        owners.sort_by_key(|(owner, _)| *owner);
        let mut rest: Vec<f64> = self.points.iter().map(|point| top(point).sum).collect();
        let mut bands: Vec<(String, Vec<f64>)> = owners
            .iter()
            .map(|&(owner, _)| {
                let figures = self.points.iter().zip(&mut rest).map(|(point, rest)| {
                    let mut owners = top(point).owners.iter();
                    let figure = owners.find(|of| of.0 == owner).map_or(0.0, |of| of.1);
                    *rest -= figure;
                    figure
                });
                let figures = figures.collect();
                (tree.nodes[owner as usize].path.to_owned(), figures)
            })
            .collect();
        if rest.iter().any(|&rest| rest > 0.5) {
            let rest = rest.into_iter().map(|rest| rest.max(0.0)).collect();
            bands.push(("all others".to_owned(), rest));
        }
        bands
    }
}
