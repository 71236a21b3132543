//! Draws the steps of an update as text: a bar of the whole flash, and below it what each part is.

use std::io::{self, Write};

use super::plan::{Place, Plan, Step, Use};

/// Width of the bar.
const COLUMNS: u64 = 64;

/// Writes the steps, then whether it can be installed so.
pub(super) fn write(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    match plan.flash {
        0 => writeln!(out, "  flash {}", plan.layout)?,
        flash => writeln!(out, "  flash {}, {}", plan.layout, size(flash))?,
    }
    for (number, step) in (1..).zip(&plan.steps) {
        writeln!(out, "\n  {number}. {}", step.title)?;
        writeln!(out, "     |{}|", bar(step, plan.flash))?;
        for Place { start, end, usage, name } in &step.places {
            writeln!(out, "     {} {start:#08x} to {end:#08x}  {name}", mark(*usage))?;
        }
    }
    writeln!(out)?;
    for problem in &plan.problems {
        writeln!(out, "  it cannot be installed: {problem}")?;
    }
    if plan.problems.is_empty() {
        writeln!(out, "  it fits")?;
    }
    for note in &plan.notes {
        writeln!(out, "  note: {note}")?;
    }
    Ok(())
}

/// Each place fills its columns, and at least one; a clash is drawn last, over the others.
fn bar(step: &Step, flash: u64) -> String {
    let mut bar = vec!['-'; usize::try_from(COLUMNS).unwrap_or_default()];
    for place in step.places.iter().filter(|place| place.usage != Use::Free) {
        let column = |offset: u64| offset.saturating_mul(COLUMNS).div_ceil(flash.max(1));
        let first = (place.start.saturating_mul(COLUMNS) / flash.max(1)).min(COLUMNS - 1);
        let columns = first..column(place.end).min(COLUMNS);
        for index in columns.filter_map(|column| usize::try_from(column).ok()) {
            bar[index] = mark(place.usage);
        }
    }
    bar.into_iter().collect()
}

fn mark(usage: Use) -> char {
    match usage {
        Use::Old => 'o',
        Use::New => 'N',
        Use::Staged => 's',
        Use::Filesystem => 'f',
        Use::System => 'x',
        Use::Free => '-',
        Use::Clash => '!',
    }
}

/// A flash size in KiB or MiB.
fn size(bytes: u64) -> String {
    if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}
