//! The results as Markdown: a table of goals with their verdicts, and one of figures. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::iter;

use super::peers::Peer;
use super::rounds::{Figures, Rounds};
use super::targets::{Against, Bound, Figure, Goal, Ratio, Workload, goals};

/// Everything that was measured.
pub(crate) type Results = BTreeMap<Workload, Rounds>;

/// Whether a goal was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Reached,
    NotReached,
    NotMeasured,
    /// No goal was set.
    None,
}

/// From how much of a core on somebody is pegged.
const PEGGED: f64 = 0.95;

/// The text of the results; `about` says where they are from, a line each.
pub(crate) fn render(results: &Results, about: &[String]) -> String {
    let mut text = String::new();
    for line in about {
        let _ = writeln!(text, "- {line}");
    }
    text += "\n## Goals\n\n";
    let measured = goals().into_iter().filter_map(|goal| {
        let rounds = results.get(&goal.workload)?;
        Some(row(&goal, rounds))
    });
    table(&mut text, &GOALS.map(str::to_owned), measured);
    text += "\n## Figures\n\nMedians over the rounds that were kept. Pegged is who used 0.95 CPU or more; \
             of the load, the busiest thread counts.\n";
    for (workload, rounds) in results {
        figures(&mut text, *workload, rounds);
    }
    text
}

/// The heads of the table of goals.
const GOALS: [&str; 10] = [
    "workload",
    "figure",
    "peer",
    "its",
    "ours",
    "ratio",
    "reach first",
    "verdict",
    "then",
    "verdict",
];

/// What was measured in one workload: a row for each server.
fn figures(text: &mut String, workload: Workload, rounds: &Rounds) {
    let _ = write!(text, "\n### {}\n\nRounds kept: {}, ", workload.words(), rounds.kept.len());
    let _ = writeln!(text, "refused: {}.", rounds.refused);
    if !rounds.kept.is_empty() {
        let _ = writeln!(text, "In those kept, others used at most {:.2} CPU.", rounds.others);
    }
    for (peer, problem) in &rounds.problems {
        let _ = writeln!(text, "{peer} took no part: {problem}.");
    }
    let all = rounds.kept.iter().flat_map(|round| round.values().flat_map(Figures::keys));
    let all: BTreeSet<Figure> = all.copied().collect();
    if all.is_empty() {
        return;
    }
    let names = all.iter().map(|figure| figure.words().to_owned());
    let head: Vec<String> = iter::once("server".to_owned())
        .chain(names)
        .chain(iter::once("pegged".to_owned()))
        .collect();
    let peers = workload.peers().iter().filter(|peer| !rounds.problems.contains_key(peer));
    *text += "\n";
    table(
        text,
        &head,
        peers.map(|&peer| {
            let value = |figure: &Figure| rounds.median(peer, *figure).map_or("–".into(), number);
            iter::once(peer.to_string())
                .chain(all.iter().map(value))
                .chain(iter::once(pegged(rounds, peer).to_owned()))
                .collect::<Vec<String>>()
        }),
    );
}

fn table<R: AsRef<[String]>>(text: &mut String, head: &[String], rows: impl Iterator<Item = R>) {
    *text += &line(head);
    *text += &line(&vec!["---"; head.len()]);
    for row in rows {
        *text += &line(row.as_ref());
    }
}

fn line(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn row(goal: &Goal, rounds: &Rounds) -> [String; GOALS.len()] {
    let enough = Some(rounds).filter(|rounds| rounds.are_enough());
    let peer = match goal.against {
        Against::Itself => None,
        Against::One(peer) => Some(peer),
        Against::BestNginx => Some(enough.map_or(Peer::NginxSendfile, best_nginx)),
    };
    let peer_name = match (goal.against, peer) {
        (Against::BestNginx, Some(peer)) => format!("best nginx ({peer})"),
        (_, Some(peer)) => peer.to_string(),
        (_, None) => "–".to_owned(),
    };
    let median = |peer| enough?.median(peer, goal.figure);
    let ours = median(Peer::Ours);
    let ratio = peer.and_then(|peer| match goal.ratio {
        Ratio::OursByPeer => enough?.ratio(goal.figure, Peer::Ours, peer),
        Ratio::PeerByOurs => enough?.ratio(goal.figure, peer, Peer::Ours),
    });
    let counts = if peer.is_some() { ratio } else { ours };
    let missing = why_missing(rounds, peer);
    let judged = |bound: Option<Bound>| match verdict(bound, counts) {
        Verdict::NotMeasured => format!("not measured{missing}"),
        verdict => verdict.words().to_owned(),
    };
    let shown = |bound: Option<Bound>| bound.map_or("–".to_owned(), bound_words);
    let or_dash = |value: Option<f64>| value.map_or("–".to_owned(), number);
    [
        goal.workload.words().to_owned(),
        figure_words(goal),
        peer_name,
        peer.map_or("–".to_owned(), |peer| or_dash(median(peer))),
        or_dash(ours),
        ratio.map_or("–".to_owned(), |ratio| format!("{}×", number(ratio))),
        shown(goal.first),
        judged(goal.first),
        shown(goal.then),
        judged(goal.then),
    ]
}

/// nginx with the setting that answers most requests.
fn best_nginx(rounds: &Rounds) -> Peer {
    let rate = |peer: &Peer| rounds.median(*peer, Figure::Rate).unwrap_or(0.0);
    let best = Peer::NGINX.into_iter().max_by(|a, b| rate(a).total_cmp(&rate(b)));
    best.unwrap_or(Peer::NginxSendfile)
}

fn why_missing(rounds: &Rounds, peer: Option<Peer>) -> String {
    let mut peers = [Some(Peer::Ours), peer].into_iter().flatten();
    match peers.find_map(|peer| rounds.problems.get(&peer)) {
        Some(problem) => format!(": {problem}"),
        None if !rounds.are_enough() => ": the machine was busy".to_owned(),
        None => String::new(),
    }
}

fn verdict(bound: Option<Bound>, value: Option<f64>) -> Verdict {
    match (bound, value) {
        (None, _) => Verdict::None,
        (Some(_), None) => Verdict::NotMeasured,
        (Some(bound), Some(value)) if bound.holds(value) => Verdict::Reached,
        _ => Verdict::NotReached,
    }
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::NotReached => "not reached",
            Self::NotMeasured => "not measured",
            Self::None => "–",
        }
    }
}

fn figure_words(goal: &Goal) -> String {
    let words = goal.figure.words();
    match (goal.against, goal.ratio) {
        (Against::Itself, _) => words.to_owned(),
        (_, Ratio::OursByPeer) => format!("{words}, ours / its"),
        (_, Ratio::PeerByOurs) => format!("{words}, its / ours"),
    }
}

fn bound_words(bound: Bound) -> String {
    match bound {
        Bound::AtLeast(value) => format!("≥ {}", grouped(&value.to_string())),
        Bound::AtMost(value) => format!("≤ {}", grouped(&value.to_string())),
    }
}

/// Three digits that count, and no more.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => grouped(&format!("{value:.0}")),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// `12,345` of `12345`.
fn grouped(digits: &str) -> String {
    let whole = digits.find('.').unwrap_or(digits.len());
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && place < whole && (whole - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Who could not have done more.
fn pegged(rounds: &Rounds, peer: Peer) -> &'static str {
    let is_pegged = |figure| rounds.median(peer, figure).map(|cpus| cpus >= PEGGED);
    match (is_pegged(Figure::ServerCpus), is_pegged(Figure::LoadCpus)) {
        (Some(true), Some(true)) => "both",
        (Some(true), _) => "server",
        (_, Some(true)) => "load",
        (Some(false), _) | (_, Some(false)) => "nobody",
        (None, None) => "–",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Downloads with these requests a second.
    fn downloads(rates: &[(Peer, f64)]) -> Results {
        let round = rates.iter().map(|(peer, rate)| {
            let figures =
                [(Figure::Rate, *rate), (Figure::ServerCpus, 0.4), (Figure::LoadCpus, 0.98)];
            (*peer, Figures::from(figures))
        });
        let rounds =
            Rounds { kept: vec![round.collect()], refused: 2, wanted: 1, ..Rounds::default() };
        Results::from([(Workload::DownloadKeepAlive, rounds)])
    }

    /// The lines of the table of goals.
    fn goals_of(results: &Results) -> Vec<String> {
        let text = render(results, &[]);
        let rows = text.lines().filter(|line| line.starts_with("| download"));
        rows.take(2).map(str::to_owned).collect()
    }

    #[test]
    fn ours_is_held_against_the_best_nginx() {
        let results = downloads(&[
            (Peer::Ours, 13_000.0),
            (Peer::NginxSendfile, 4_000.0),
            (Peer::NginxCopy128k, 10_000.0),
            (Peer::NginxCopy1m, 9_000.0),
        ]);
        assert_eq!(
            goals_of(&results),
            [
                "| download 1 MiB, keep-alive | requests/s, ours / its | best nginx (nginx, copying \
                 2 × 128 KiB) | 10,000 | 13,000 | 1.30× | ≥ 1.2 | reached | ≥ 1.4 | not reached |",
                "| download 1 MiB, keep-alive | requests/s, ours / its | nginx, sendfile | 4,000 | \
                 13,000 | 3.25× | ≥ 2 | reached | ≥ 2.3 | reached |",
            ]
        );
        let text = render(&results, &["Date: today".into()]);
        assert!(text.starts_with("- Date: today\n"));
        assert!(
            text.contains("\n### download 1 MiB, keep-alive\n\nRounds kept: 1, refused: 2.\nIn")
        );
        assert!(text.contains("\n| server | requests/s | server CPUs | load CPUs | pegged |\n"));
        assert!(text.contains("\n| Updraft | 13,000 | 0.400 | 0.980 | load |\n"));
    }

    #[test]
    fn what_is_not_measured_says_why() {
        let mut results = downloads(&[(Peer::Ours, 1.0)]);
        let busy = Results::from([(Workload::DownloadKeepAlive, Rounds::default())]);
        assert!(goals_of(&busy)[0].contains("| not measured: the machine was busy |"));
        if let Some(rounds) = results.get_mut(&Workload::DownloadKeepAlive) {
            rounds.problems.insert(Peer::NginxSendfile, "it is not there".into());
        }
        assert!(goals_of(&results)[1].contains("| not measured: it is not there |"));
        assert_eq!(verdict(None, None), Verdict::None);
    }

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (1_234_567.8, "1,234,568"),
            (999.6, "1,000"),
            (100.0, "100"),
            (42.25, "42.2"),
            (1.0, "1.00"),
            (0.1234, "0.123"),
        ] {
            assert_eq!(number(value), expected);
        }
        assert_eq!(bound_words(Bound::AtMost(160_000.0)), "≤ 160,000");
        assert_eq!(bound_words(Bound::AtLeast(1.35)), "≥ 1.35");
    }
}
