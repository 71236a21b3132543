//! Rounds: in each, every peer has its turn, one after the other, in an order that changes. A round in
//! which others used the machine counts for nothing. Pure but for the trial it is given.

use std::collections::BTreeMap;

use anyhow::Result;

use super::peers::Peer;
use super::targets::Figure;
use crate::ui;

/// What was measured of one peer in one round.
pub(crate) type Figures = BTreeMap<Figure, f64>;

/// One turn of one peer.
#[derive(Debug)]
pub(crate) struct Trial {
    /// CPUs that others used meanwhile.
    pub(crate) others: f64,
    pub(crate) figures: Figures,
}

/// When rounds count, and how many are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) wanted: usize,
    /// CPUs that others may use.
    pub(crate) others: f64,
}

/// The rounds of one workload.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) kept: Vec<BTreeMap<Peer, Figures>>,
    pub(crate) refused: usize,
    /// CPUs that others used at most in those kept.
    pub(crate) others: f64,
    /// Rounds that were to be kept.
    pub(crate) wanted: usize,
    /// Peers that failed, and how.
    pub(crate) problems: BTreeMap<Peer, String>,
}

/// For each round that is wanted, as many are tried.
const TRIES: usize = 3;

impl Rounds {
    /// Plays rounds until as many as wanted count, or too many did not. A peer whose trial fails is
    /// out of this and all later rounds.
    pub(crate) fn play(
        rule: Rule,
        peers: &[Peer],
        mut trial: impl FnMut(Peer) -> Result<Trial>,
    ) -> Self {
        let mut rounds = Self { wanted: rule.wanted, ..Self::default() };
        for number in 0..rule.wanted * TRIES {
            if rounds.kept.len() == rule.wanted {
                break;
            }
            let mut order = peers.to_vec();
            order.rotate_left(number % peers.len().max(1));
            order.retain(|peer| !rounds.problems.contains_key(peer));
            rounds.play_one(rule, &order, &mut trial);
        }
        rounds
    }

    /// No round at all, as ours could not take part.
    pub(crate) fn none(problem: &anyhow::Error) -> Self {
        let problems = BTreeMap::from([(Peer::Ours, format!("{problem:#}"))]);
        Self { problems, ..Self::default() }
    }

    /// Whether they are at least half of those wanted; with fewer, a median says little.
    pub(crate) fn are_enough(&self) -> bool {
        !self.kept.is_empty() && self.kept.len() * 2 >= self.wanted
    }

    fn play_one(
        &mut self,
        rule: Rule,
        order: &[Peer],
        trial: &mut impl FnMut(Peer) -> Result<Trial>,
    ) {
        let mut round = BTreeMap::new();
        let mut others: f64 = 0.0;
        for &peer in order {
            match trial(peer) {
                Ok(trial) if trial.others > rule.others => {
                    self.refused += 1;
                    ui::say(format_args!("  refused: others used {:.2} CPU", trial.others));
                    return;
                }
                Ok(trial) => {
                    others = others.max(trial.others);
                    round.insert(peer, trial.figures);
                }
                Err(error) => {
                    ui::say(format_args!("  {peer} failed: {error:#}"));
                    self.problems.insert(peer, format!("{error:#}"));
                }
            }
        }
        if !round.is_empty() {
            ui::say(format_args!("  kept: others used at most {others:.2} CPU"));
            self.others = self.others.max(others);
            self.kept.push(round);
        }
    }

    /// The median of a peer's figure over all rounds.
    pub(crate) fn median(&self, peer: Peer, figure: Figure) -> Option<f64> {
        median(self.kept.iter().filter_map(|round| value(round, peer, figure)).collect())
    }

    /// The median of one peer's figure divided by another's in the same round.
    pub(crate) fn ratio(&self, figure: Figure, of: Peer, by: Peer) -> Option<f64> {
        let ratio = |round| Some(value(round, of, figure)? / value(round, by, figure)?);
        median(self.kept.iter().filter_map(ratio).collect())
    }
}

fn value(round: &BTreeMap<Peer, Figures>, peer: Peer, figure: Figure) -> Option<f64> {
    round.get(&peer)?.get(&figure).copied()
}

/// The middle one; of two in the middle, their mean. Nothing of what is no number.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    values.get(middle.checked_sub(1)?).map(|lower| f64::midpoint(*lower, upper))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    const PEERS: [Peer; 2] = [Peer::Ours, Peer::NginxSendfile];

    /// Plays with these values of [`Figure::Rate`], and what others used, turn by turn.
    fn play(wanted: usize, turns: &[(Peer, f64, f64)]) -> Rounds {
        let mut turns = turns.iter();
        Rounds::play(Rule { wanted, others: 0.25 }, &PEERS, |peer| {
            let Some((expected, rate, others)) = turns.next() else { bail!("no more turns") };
            assert_eq!(peer, *expected);
            Ok(Trial { others: *others, figures: Figures::from([(Figure::Rate, *rate)]) })
        })
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let [ours, nginx] = PEERS;
        let rounds = play(
            3,
            &[
                (ours, 10.0, 0.0),
                (nginx, 10.0, 0.1),
                (nginx, 1.0, 0.25),
                (ours, 2.0, 0.0),
                (ours, 300.0, 0.0),
                (nginx, 100.0, 0.0),
            ],
        );
        assert_eq!((rounds.kept.len(), rounds.refused), (3, 0));
        assert!(rounds.are_enough());
        assert!((rounds.others - 0.25).abs() < 1e-9);
        assert_eq!(rounds.median(ours, Figure::Rate), Some(10.0));
        assert_eq!(rounds.ratio(Figure::Rate, ours, nginx), Some(2.0));
        assert_eq!(rounds.ratio(Figure::ServerCpu, ours, nginx), None);
        assert_eq!(rounds.median(Peer::Php, Figure::Rate), None);
    }

    #[test]
    fn a_round_is_refused_as_soon_as_others_use_too_much() {
        let [ours, nginx] = PEERS;
        let busy = 0.26;
        let rounds =
            play(1, &[(ours, 1.0, 0.0), (nginx, 1.0, busy), (nginx, 1.0, busy), (ours, 1.0, busy)]);
        assert_eq!((rounds.kept.len(), rounds.refused), (0, TRIES));
        assert!(!rounds.are_enough());
    }

    #[test]
    fn a_peer_that_fails_is_out_and_the_others_go_on() {
        let rounds = Rounds::play(Rule { wanted: 2, others: 0.25 }, &PEERS, |peer| match peer {
            Peer::Ours => Ok(Trial { others: 0.0, figures: Figures::new() }),
            _ => bail!("broken"),
        });
        assert_eq!(rounds.kept.len(), 2);
        assert_eq!(rounds.problems[&Peer::NginxSendfile], "broken");
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![f64::NAN, 1.0]), Some(1.0));
    }
}
