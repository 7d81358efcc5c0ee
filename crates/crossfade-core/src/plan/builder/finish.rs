//! The end: everything that was gathered in its order, with the holds and what can't be undone said.

use super::Draft;
use super::Rank;
use super::StepsBuilder;
use crate::finding::Finding;
use crate::step::Action;
use crate::step::Hold;
use crate::step::Phase;
use crate::step::Preflight;
use crate::step::Step;
use crate::step::StepId;

impl StepsBuilder<'_> {
    /// The steps in their order, with the holds between them.
    pub fn finish(mut self) -> (Vec<Step>, Vec<Preflight>, Vec<Finding>) {
        for sync in std::mem::take(&mut self.syncs) {
            self.lower_sync(sync);
        }
        for contract in std::mem::take(&mut self.contracts) {
            self.push_contract(contract);
        }
        let forgotten = std::mem::take(&mut self.made_rows);
        if !forgotten.is_empty() {
            self.apart(Phase::Purge, "forget which rows were made".to_owned(), forgotten, Vec::new());
        }
        self.drafts.sort_by_key(|draft| (draft.phase, draft.rank));
        let contract = self.drafts.iter().position(|draft| draft.phase == Phase::Contract);
        if let Some(at) = contract {
            self.drafts.insert(at, hold(Phase::Contract, Hold::Deploy));
            if self.cx.policy.retain {
                let purge =
                    self.drafts.iter().position(|draft| draft.phase == Phase::Purge).unwrap_or(self.drafts.len());
                self.drafts.insert(purge, hold(Phase::Purge, Hold::Retention));
            }
        }
        self.say_what_has_no_undo(contract.is_some());
        let steps = self
            .drafts
            .into_iter()
            .enumerate()
            .map(|(position, draft)| Step {
                id: StepId(position as u16),
                phase: draft.phase,
                summary: draft.summary,
                action: draft.action,
                undo: draft.undo,
                locks: draft.locks,
                hazards: draft.hazards,
            })
            .collect();
        (steps, self.preflight, self.findings)
    }

    /// A plan that waits can be rolled back, and each of its statements needs a way back for that. One that goes through in one run needs it
    /// only where it is stopped half way; then it can still go on.
    fn say_what_has_no_undo(&mut self, waits: bool) {
        let help = "write it in front of the statement: `-- crossfade: undo SQL`";
        for (phase, at) in std::mem::take(&mut self.without_undo) {
            if waits && phase < Phase::Contract {
                self.findings.push(
                    Finding::error(
                        "undo-needed",
                        at,
                        "this file runs in phases and can be rolled back, but what undoes this statement is not known",
                    )
                    .help(format!("{help}; or put the statement into a migration of its own")),
                );
            } else if waits {
                self.findings.push(
                    Finding::warning(
                        "no-way-back",
                        at,
                        "what undoes this statement is not known: from contract on there is no way back",
                    )
                    .help(help),
                );
            } else if self.drafts.len() > 1 {
                self.findings.push(
                    Finding::warning(
                        "no-way-back",
                        at,
                        "what undoes this statement is not known: once it is done, the file can only go on",
                    )
                    .help(help),
                );
            }
        }
    }
}

fn hold(phase: Phase, hold: Hold) -> Draft {
    let summary = match hold {
        Hold::Deploy => "wait until the new code is deployed everywhere (`crossfade contract`)",
        Hold::Retention => "keep the old form for the way back (`crossfade purge`)",
    };
    Draft {
        phase,
        rank: Rank::Early,
        summary: summary.to_owned(),
        action: Action::Hold { until: hold },
        undo: None,
        locks: Vec::new(),
        hazards: Vec::new(),
    }
}
