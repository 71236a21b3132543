//! What happens in the flash when a file is installed, as JSON.

use serde::Serialize;

use crate::image::info::plan::{Place, Plan, Step, Use};

/// An update, step by step.
#[derive(Serialize)]
pub(super) struct Installation<'a> {
    /// The layout, as it was given.
    layout: &'a str,
    /// Whether it can be installed so.
    fits: bool,
    /// Why not: each reason in words.
    problems: &'a [String],
    /// What does not hold it back, and yet should be known.
    notes: &'a [String],
    /// What the flash holds, step by step; empty if the file can never be installed.
    steps: Vec<StepRow<'a>>,
}

#[derive(Serialize)]
struct StepRow<'a> {
    /// What was done.
    title: &'a str,
    /// By their offsets; then those that two things would share.
    places: Vec<PlaceRow<'a>>,
}

#[derive(Serialize)]
struct PlaceRow<'a> {
    /// First byte, and the one behind the last, from the start of the flash.
    start: u64,
    end: u64,
    /// `old`, `new`, `staged`, `filesystem`, `system`, `free`, or `clash`: two things at once.
    usage: Use,
    name: &'a str,
}

impl<'a> Installation<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let place = |place: &'a Place| PlaceRow {
            start: place.start,
            end: place.end,
            usage: place.usage,
            name: &place.name,
        };
        let step = |step: &'a Step| StepRow {
            title: &step.title,
            places: step.places.iter().map(place).collect(),
        };
        Self {
            layout: &plan.layout,
            fits: plan.problems.is_empty(),
            problems: &plan.problems,
            notes: &plan.notes,
            steps: plan.steps.iter().map(step).collect(),
        }
    }
}
