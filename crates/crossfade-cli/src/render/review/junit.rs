//! JUnit XML: a case for each problem, of which only errors fail; one that passes where there is none.
//!
//! By quick-junit: it leaves out what XML can't hold, which a migration's text may have.

use crossfade::Error;
use crossfade::Result;
use crossfade_core::finding::Severity;
use quick_junit::NonSuccessKind;
use quick_junit::Report;
use quick_junit::TestCase;
use quick_junit::TestCaseStatus;
use quick_junit::TestSuite;

use super::Problem;
use super::Review;
use super::word;

/// The report.
pub fn junit(review: &Review) -> Result<String> {
    let mut suite = TestSuite::new(review.tool);
    suite.add_test_cases(review.problems.iter().map(case));
    if review.problems.is_empty() {
        suite.add_test_case(TestCase::new("nothing was found", TestCaseStatus::success()));
    }
    let mut report = Report::new(review.tool);
    report.add_test_suite(suite);
    report.to_string().map_err(|error| Error::failed("could not write the report").caused_by(error))
}

fn case(problem: &Problem) -> TestCase {
    let said = format!("{}\n{}\n{}", problem.at(), problem.message, problem.body());
    let status = match problem.severity {
        Severity::Error => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_type(problem.rule.as_str())
                .set_message(problem.message.as_str())
                .set_description(said.trim_end());
            status
        }
        Severity::Warning | Severity::Note => TestCaseStatus::success(),
    };
    let mut case = TestCase::new(format!("{} at {}", problem.rule, problem.at()), status);
    case.set_classname(problem.path.as_str());
    if problem.severity != Severity::Error {
        case.set_system_out(format!("{}: {}", word(problem.severity), said.trim_end()));
    }
    case
}
