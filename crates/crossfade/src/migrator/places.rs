//! Where the texts of a run's plans stand, for errors that name a place.

use std::path::Path;
use std::path::PathBuf;

use crossfade_core::step::Plan;
use crossfade_core::step::PlanKind;

use super::shared::same_version;
use crate::source::SourceFile;

/// The files of some migrations.
#[derive(Debug, Default)]
pub(super) struct Places {
    of_versions: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    version: String,
    up: PathBuf,
    down: Option<PathBuf>,
}

impl Places {
    pub fn of(files: &[SourceFile]) -> Places {
        let place = |file: &SourceFile| Place {
            version: file.version.clone(),
            up: file.path.clone(),
            down: file.down.as_ref().map(|(path, _)| path.clone()),
        };
        Places { of_versions: files.iter().map(place).collect() }
    }

    /// A migration goes back by this text.
    pub fn goes_back_by(&mut self, version: &str, path: &Path) {
        let down = Some(path.to_owned());
        match self.of_versions.iter_mut().find(|place| same_version(&place.version, version)) {
            Some(place) => place.down = down,
            None => self.of_versions.push(Place { version: version.to_owned(), up: PathBuf::new(), down }),
        }
    }

    /// What a plan was made of; nothing where that is not known.
    pub fn of_plan(&self, plan: &Plan) -> PathBuf {
        let place = self.of_versions.iter().find(|place| same_version(&place.version, &plan.version));
        let path = match plan.kind {
            PlanKind::Up => place.map(|place| place.up.clone()),
            PlanKind::Down => place.and_then(|place| place.down.clone()),
            PlanKind::Backfill => None,
        };
        path.unwrap_or_default()
    }
}
