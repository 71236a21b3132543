//! An update of an ESP32: written into the slot that does not run, which otadata then makes start.

use updraft_core::{
    AppKind, DataKind, Family, FilesystemKind, Kind, OtaData, OtaTarget, Partition, PartitionKind,
    PartitionTable, gates,
};

use super::{Layout, Place, Plan, Step, Update, Use};

pub(super) fn plan(
    update: Update<'_>,
    target: OtaTarget,
    name: &str,
    table: &PartitionTable,
) -> Layout {
    // As after the first installation by cable: otadata is empty.
    let runs = OtaData::ERASED.starts(table);
    let slot = runs.and_then(|runs| table.next_update(runs));
    let filesystem = filesystem(update.new.kind, table);
    let size = |partition: Option<&Partition>| partition.map_or(0, |partition| partition.size);
    let device = gates::Device {
        family: Family::Esp32,
        chip: None,
        asks_for: target,
        free_space: Some(size(slot).into()),
        sketch_size: None,
        chip_size: None,
        filesystem_size: Some(size(filesystem).into()),
        flash_mode: None,
    };
    let (goes_to, what) = match target {
        OtaTarget::Sketch => (slot, "the new application"),
        OtaTarget::Filesystem => (filesystem, "the new filesystem"),
    };
    let running = runs.and_then(|runs| table.find(PartitionKind::App(runs)));
    let old = update.old_size(target, size(running).into());
    let title = update.first_title(old);
    let scene = Scene { table, title, runs, old, goes_to, new: update.new.sizes.file, what };
    let (layout, flash) = (name.to_owned(), scene.flash());
    Layout { plan: Plan { layout, flash, steps: scene.steps(), ..Plan::default() }, device }
}

/// What the steps are made from.
struct Scene<'a> {
    table: &'a PartitionTable,
    /// The first step, in words.
    title: &'static str,
    /// The application that runs, and how many bytes it has; 0 if nobody knows.
    runs: Option<AppKind>,
    old: u64,
    /// The partition that the file goes to, how long the file is, and what it becomes.
    goes_to: Option<&'a Partition>,
    new: u64,
    what: &'static str,
}

impl Scene<'_> {
    fn steps(&self) -> Vec<Step> {
        let mut steps = vec![self.step(self.title, None, self.runs)];
        let Some(written) = self.goes_to else { return steps };
        let label = &*written.label;
        let title = if self.new > u64::from(written.size) {
            format!("the file would run over the end of {label}")
        } else {
            format!("the file was received and written to {label}")
        };
        steps.push(self.step(title, Some(written), self.runs));
        if let PartitionKind::App(slot) = written.kind
            && self.new <= u64::from(written.size)
        {
            let title = format!("otadata names {label}, which starts from now on");
            steps.push(self.step(title, Some(written), Some(slot)));
        }
        steps
    }

    /// The flash once the file is in `written`, if it is, and while `starts` is the application that
    /// starts.
    fn step(
        &self,
        title: impl Into<String>,
        written: Option<&Partition>,
        starts: Option<AppKind>,
    ) -> Step {
        let first = self.table.iter().map(|partition| partition.offset).min().unwrap_or_default();
        let mut places =
            vec![Place::new(0..first.into(), Use::System, "boot loader, partition table")];
        for partition in self.table.iter() {
            let (start, end) = (u64::from(partition.offset), partition.end());
            let is = |app: Option<AppKind>| app.map(PartitionKind::App) == Some(partition.kind);
            let (bytes, usage, what) = if Some(partition) == written {
                (Some(self.new), Use::New, self.what)
            } else if is(self.runs) {
                let bytes = (self.old > 0).then_some(self.old);
                (bytes, Use::Old, "the application that runs")
            } else {
                let (usage, what) = match partition.kind {
                    PartitionKind::App(_) => (Use::Free, "free"),
                    kind if kind.is_filesystem() => (Use::Filesystem, "filesystem"),
                    _ => (Use::System, ""),
                };
                (None, usage, what)
            };
            let bytes_of = |bytes| format!(", {bytes} bytes");
            let name = format!(
                "{}{}{what}{}{}",
                &*partition.label,
                if what.is_empty() { "" } else { ": " },
                bytes.map(bytes_of).unwrap_or_default(),
                if is(starts) { ", starts" } else { "" },
            );
            let filled = bytes.map_or(end, |bytes| start + bytes);
            places.push(Place::new(start..filled, usage, name));
            let rest = format!("{}: free", &*partition.label);
            places.push(Place::new(filled..end, Use::Free, rest));
        }
        Step::new(title, places, self.flash())
    }

    /// Bytes of the flash: the power of two that the table ends in.
    fn flash(&self) -> u64 {
        self.table.iter().map(Partition::end).max().unwrap_or_default().next_power_of_two()
    }
}

/// Where an image of this kind goes: Arduino puts `LittleFS` into a partition for SPIFFS, too.
fn filesystem(kind: Kind, table: &PartitionTable) -> Option<&Partition> {
    let Kind::Filesystem(kind) = kind else { return None };
    let kinds = match kind {
        FilesystemKind::Fat => [DataKind::Fat; 2],
        FilesystemKind::Spiffs => [DataKind::Spiffs; 2],
        FilesystemKind::LittleFs => [DataKind::LittleFs, DataKind::Spiffs],
    };
    kinds.into_iter().find_map(|kind| table.find(PartitionKind::Data(kind)))
}
