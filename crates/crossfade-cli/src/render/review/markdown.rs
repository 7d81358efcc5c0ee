//! Findings as Markdown, for a comment on a request or a job's summary.

use super::super::human;
use super::super::markdown::block;
use super::super::markdown::code;
use super::super::markdown::folded;
use super::super::markdown::prose;
use super::Problem;
use super::Review;
use super::word;

/// The report.
pub fn markdown(review: &Review) -> String {
    let files = human::counted(review.files as u64, "file", "files");
    let mut out = format!("# `{}`\n\n{files}: {}\n\n", review.tool, review.counts());
    out.extend(review.worst_first().into_iter().map(one));
    out
}

fn one(problem: &Problem) -> String {
    let known = problem.evidence.map(|evidence| format!(" (from the {evidence})")).unwrap_or_default();
    let mut out = format!(
        "**{}** [{}]({}) at {}: {}{known}\n\n",
        word(problem.severity),
        code(&problem.rule),
        problem.page,
        code(&problem.at()),
        prose(&problem.message)
    );
    let said: Vec<String> =
        problem.reasons.iter().chain(&problem.help).map(|line| format!("- {}\n", prose(line))).collect();
    if !said.is_empty() {
        out.push_str(&said.concat());
        out.push('\n');
    }
    if let Some(place) = &problem.place {
        let mut body = block("sql", &place.text);
        if let Some(safe) = &problem.safe_sql {
            body.push_str(&format!("\nwrite\n\n{}", block("sql", safe)));
        }
        let title = if problem.safe_sql.is_some() { "the statement, and what to write" } else { "the statement" };
        out.push_str(&folded(title, &body));
        out.push('\n');
    }
    out
}
