//! Rows where groups decide the split (`selection.split_by`): a cluster is asked by rank alone, so it also sends
//! conversations of other splits.

use super::RowWriter;
use crate::domain::json::{Value, number};
use crate::domain::selection::group::{Group, GroupField, GroupMark};

impl RowWriter {
    /// Whether a row is of a split that is not wanted: of what groups decide, the cluster was asked by rank alone.
    pub(super) fn is_of_other_split(
        &mut self,
        id: &[u8],
        cells: &[Value<'_>],
        group: GroupMark,
    ) -> bool {
        let (Some(ranks), Some(turns)) = (&self.asked.wanted, self.turns(cells)) else {
            return false;
        };
        let (turns, rank) = (u64::try_from(turns).unwrap_or(0), self.ranker.rank(id));
        self.selection.split_by().is_some()
            && !self.asked.census
            && ranks.may_want(&self.selection, turns, rank)
            && !ranks.wants(&self.selection, (id, group), turns, rank)
    }

    /// The group that a row of a census says, if groups decide.
    pub(super) fn group_of_census(&self, cells: &[Value<'_>]) -> GroupMark {
        let place = self.places.group;
        let cell = place.filter(|_| self.selection.split_by().is_some());
        let residue = cell.and_then(|place| number::integer(cells.get(place)?.text));
        residue.map_or(GroupMark::ABSENT, GroupMark::of_residue)
    }

    /// The group of a row that was not written, as far as a cell names it.
    pub(super) fn group_of_cells(&self, cells: &[Value<'_>]) -> GroupMark {
        let name = self.selection.split_by().map(GroupField::name);
        let place = self
            .columns
            .iter()
            .position(|column| Some(column.name.as_str()) == name);
        let cell = place.and_then(|place| cells.get(place));
        cell.map_or(GroupMark::ABSENT, |cell| Group::of(cell).mark())
    }

    /// The group of a row that stands in the block from `start` on.
    pub(super) fn group_of_row(&self, start: usize) -> GroupMark {
        let Some(field) = self.selection.split_by() else {
            return GroupMark::ABSENT;
        };
        let group = field.of_record(&self.block.bytes[start..]);
        // What is no JSON is malformed where rows are read.
        group.unwrap_or(Group::Absent).mark()
    }
}
