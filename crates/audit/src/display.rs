//! The report as a compliance officer reads it.

use crate::report::{Check, Level, Line, Report, Scope, Status, Verdict};
use alloy_primitives::Address;
use std::collections::BTreeMap;
use std::fmt;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", sentence(self))?;
        for (status, heading) in
            [(Status::Fail, "Failed"), (Status::Unavailable, "Could not be checked"), (Status::Note, "To know")]
        {
            let lines: Vec<&Line> = self.with(status).filter(|line| line.check != Check::Limits).collect();
            if !lines.is_empty() {
                writeln!(f, "\n{heading}")?;
            }
            for (line, rounds) in folded(&lines) {
                let place = place(&line.scope, &rounds);
                writeln!(f, "  {:<11} {place:<18} {}: {}", mark(status), line.check.subject(), line.reason)?;
            }
        }
        passed(self, f)?;
        writeln!(f, "\nWhat this audit does not show\n  {}", caveats(self).join("\n  "))
    }
}

fn sentence(report: &Report) -> String {
    let count = |status| report.with(status).count();
    let rounds = ranges(&report.rounds);
    let what = format!("study {}, {rounds}, {} audit", report.study, if report.level == Level::Full { "full" } else { "public" });
    match report.verdict {
        Verdict::Pass => {
            format!("PASS ({what}): {} checks hold and none fails.", count(Status::Pass))
        }
        Verdict::Fail => format!(
            "FAIL ({what}): {} checks fail, {} hold. Do not rely on the rounds named below.",
            count(Status::Fail),
            count(Status::Pass)
        ),
        Verdict::Incomplete => format!(
            "INCOMPLETE ({what}): nothing is known to be wrong, but {} checks could not be made; {} hold.",
            count(Status::Unavailable),
            count(Status::Pass)
        ),
    }
}

fn mark(status: Status) -> &'static str {
    match status {
        Status::Fail => "FAIL",
        Status::Unavailable => "UNAVAILABLE",
        Status::Note => "NOTE",
        Status::Pass => "ok",
    }
}

/// Lines that say the same of the same party in several rounds become one.
fn folded<'a>(lines: &[&'a Line]) -> Vec<(&'a Line, Vec<u64>)> {
    let mut out: Vec<(&Line, Vec<u64>)> = Vec::new();
    for line in lines {
        let same = |(other, _): &&mut (&Line, Vec<u64>)| {
            (other.check, &other.reason, party(&other.scope)) == (line.check, &line.reason, party(&line.scope))
        };
        match out.iter_mut().find(same) {
            Some((_, rounds)) => rounds.extend(line.scope.round()),
            None => out.push((line, line.scope.round().into_iter().collect())),
        }
    }
    out
}

/// Whom a scope is about, in whatever round.
fn party(scope: &Scope) -> Option<Address> {
    match scope {
        Scope::Study | Scope::Round(_) => None,
        Scope::Node { address, .. } => Some(*address),
        Scope::Site { site, .. } => Some(*site),
    }
}

fn place(scope: &Scope, rounds: &[u64]) -> String {
    match scope {
        Scope::Study => "study".to_owned(),
        Scope::Round(_) => ranges(rounds),
        Scope::Node { node, .. } => format!("{} node {node}", ranges(rounds)),
        Scope::Site { site, .. } => {
            let short: String = site.to_string().chars().take(10).collect();
            format!("{} site {short}..", ranges(rounds))
        }
    }
}

/// Passed checks, one line a check over all rounds.
fn passed(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut by_check: BTreeMap<Check, Vec<&Line>> = BTreeMap::new();
    for line in report.with(Status::Pass) {
        by_check.entry(line.check).or_default().push(line);
    }
    if by_check.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nHolds")?;
    for (check, lines) in by_check {
        match lines[..] {
            [] => {}
            [.., last] => {
                let rounds: Vec<u64> = lines.iter().filter_map(|line| line.scope.round()).collect();
                let (place, title) = (place(&last.scope, &rounds), check.title());
                let which = if lines.len() > 1 { "; the last" } else { "" };
                writeln!(f, "  {:<11} {place:<18} {title}{which}: {}", "ok", last.reason)?;
            }
        }
    }
    Ok(())
}

/// "rounds 1-3, 5".
fn ranges(rounds: &[u64]) -> String {
    let mut sorted = rounds.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for round in sorted {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == round => *last = round,
            _ => runs.push((round, round)),
        }
    }
    let word = match runs[..] {
        [] => return "no rounds".to_owned(),
        [(first, last)] if first == last => "round",
        _ => "rounds",
    };
    let show = |(first, last): (u64, u64)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    format!("{word} {}", runs.into_iter().map(show).collect::<Vec<_>>().join(", "))
}

fn caveats(report: &Report) -> Vec<String> {
    let mut said: Vec<String> =
        report.lines.iter().filter(|line| line.check == Check::Limits).map(|line| line.reason.clone()).collect();
    said.push(
        "Recomputed here: everything that a line under \"Holds\" says was recomputed or recovered. Proved: signatures and hashes, by \
         anyone again. Attested: what only the committee can have seen."
            .to_owned(),
    );
    said.push(
        "More than t colluding nodes could have read every update without leaving a trace; no audit can exclude that. Whether operators \
         are independent is for people to judge."
            .to_owned(),
    );
    said.push(
        "That an update is useful, or free of a hidden bias within its norm bound, is not what is proved; nor that sums over similar \
         groups of sites tell nothing about the difference."
            .to_owned(),
    );
    said
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn rounds_are_written_as_ranges() {
        assert_eq!(ranges(&[]), "no rounds");
        assert_eq!(ranges(&[3]), "round 3");
        assert_eq!(ranges(&[5, 1, 2, 3, 2]), "rounds 1-3, 5");
    }
}
