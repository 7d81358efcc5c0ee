//! In which order changes can be run.
//!
//! What goes makes room first; then things are made and changed, each behind what it requires. Types that columns have until they get another
//! one go last. Where nothing decides, the kind does, and then the name.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::BinaryHeap;

use super::Kind;
use super::ObjectId;

/// What is done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Deed {
    /// It goes before anything is made.
    Drop,
    /// Its name becomes free; it goes later.
    SetAside,
    /// It is made.
    Make,
    /// It is changed.
    Alter,
    /// It goes once nothing uses it any more.
    DropLate,
}

/// A deed and its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Task<'a> {
    pub deed: Deed,
    pub id: &'a ObjectId,
}

/// Tasks, and which comes before which.
#[derive(Default)]
pub(super) struct Tasks<'a> {
    tasks: Vec<Task<'a>>,
    places: BTreeMap<(Deed, &'a ObjectId), usize>,
    /// From each task to those behind it.
    behind: Vec<BTreeSet<usize>>,
}

impl<'a> Tasks<'a> {
    pub fn add(&mut self, deed: Deed, id: &'a ObjectId) {
        self.places.insert((deed, id), self.tasks.len());
        self.tasks.push(Task { deed, id });
        self.behind.push(BTreeSet::new());
    }

    pub fn find(&self, deed: Deed, id: &ObjectId) -> Option<usize> {
        self.places.get(&(deed, id)).copied()
    }

    /// The task that ends an object.
    pub fn end_of(&self, id: &ObjectId) -> Option<usize> {
        self.find(Deed::Drop, id).or_else(|| self.find(Deed::DropLate, id))
    }

    /// The task behind which an object is as it is to be.
    pub fn done_by(&self, id: &ObjectId) -> Option<usize> {
        self.find(Deed::Make, id).or_else(|| self.find(Deed::Alter, id))
    }

    pub fn before(&mut self, first: Option<usize>, second: Option<usize>) {
        if let (Some(first), Some(second)) = (first, second)
            && first != second
        {
            self.behind[first].insert(second);
        }
    }

    /// All tasks in an order that can be run. Where they wait for each other in a ring, the one that would come first anyway begins.
    pub fn sorted(self) -> Vec<Task<'a>> {
        let count = self.tasks.len();
        // What makes room, and what needs it.
        let room: Vec<usize> = (0..count).filter(|at| self.tasks[*at].deed == Deed::Drop).collect();
        let rest: Vec<usize> = (0..count).filter(|at| self.tasks[*at].deed != Deed::Drop).collect();
        let mut waits_for = vec![0_usize; count];
        for behind in &self.behind {
            behind.iter().for_each(|at| waits_for[*at] += 1);
        }
        let mut sorted = Vec::with_capacity(count);
        for part in [room, rest] {
            self.sort_part(&part, &mut waits_for, &mut sorted);
        }
        sorted.into_iter().map(|at| self.tasks[at]).collect()
    }

    fn sort_part(&self, part: &[usize], waits_for: &mut [usize], sorted: &mut Vec<usize>) {
        let mut left: BTreeSet<(Rank<'_>, usize)> = part.iter().map(|at| (self.rank(*at), *at)).collect();
        let mut ready: BinaryHeap<Reverse<(Rank<'_>, usize)>> = BinaryHeap::new();
        ready.extend(left.iter().filter(|(_, at)| waits_for[*at] == 0).cloned().map(Reverse));
        while !left.is_empty() {
            let next = ready.pop().map(|Reverse(next)| next).filter(|next| left.contains(next));
            let Some(next) = next.or_else(|| if ready.is_empty() { left.first().cloned() } else { None }) else {
                continue;
            };
            left.remove(&next);
            sorted.push(next.1);
            for at in &self.behind[next.1] {
                waits_for[*at] = waits_for[*at].saturating_sub(1);
                let entry = (self.rank(*at), *at);
                if waits_for[*at] == 0 && left.contains(&entry) {
                    ready.push(Reverse(entry));
                }
            }
        }
    }

    /// Lower comes first: what is made in the order of the kinds, what goes in the opposite one.
    fn rank(&self, at: usize) -> Rank<'a> {
        let Task { deed, id } = self.tasks[at];
        let kind = id.kind as i32;
        let first = match deed {
            // Then what comes from the parent is the table's own.
            Deed::Drop if matches!(id.kind, Kind::Partition | Kind::Inheritance) => -1000,
            Deed::Drop => -kind,
            Deed::DropLate => 1000 - kind,
            Deed::SetAside | Deed::Make | Deed::Alter => kind,
        };
        // A foreign key to a partitioned table has hidden copies, for which the server takes names of this form that are still free.
        let free = id.kind == Kind::ForeignKey && !id.name.as_str().contains("_fkey");
        (first, free, id)
    }
}

/// The kind, whether the name matters less, and the object.
type Rank<'a> = (i32, bool, &'a ObjectId);
