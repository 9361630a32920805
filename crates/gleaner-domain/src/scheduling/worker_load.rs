//! Which of several workers gets the next piece of work.

/// What the workers of one kind have to do, a slot for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerLoad {
    slots: Vec<Slot>,
}

/// One worker's place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Slot {
    is_present: bool,
    /// Pieces of work that were assigned and not yet returned.
    assigned: usize,
}

impl WorkerLoad {
    /// Slots without workers.
    pub fn new(slots: usize) -> Self {
        Self {
            slots: vec![Slot::default(); slots],
        }
    }

    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// A slot has a worker from now on, or none.
    pub fn set_present(&mut self, slot: usize, is_present: bool) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.is_present = is_present;
        }
    }

    /// Assigns a piece of work to the worker that has the least to do, the first of several.
    /// `None`: no slot has a worker. Every piece is to be returned with [`Self::done`] once, also when
    /// its worker is gone.
    pub fn assign(&mut self) -> Option<usize> {
        let slots = self.slots.iter().enumerate();
        let present = slots.filter(|(_, slot)| slot.is_present);
        let (number, _) = present.min_by_key(|(number, slot)| (slot.assigned, *number))?;
        self.slots[number].assigned += 1;
        Some(number)
    }

    /// A piece of work that was assigned to a slot is done, or its worker is gone.
    pub fn done(&mut self, slot: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.assigned = slot.assigned.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(present: &[bool]) -> WorkerLoad {
        let mut load = WorkerLoad::new(present.len());
        for (slot, &is_present) in present.iter().enumerate() {
            load.set_present(slot, is_present);
        }
        load
    }

    #[test]
    fn work_goes_to_the_worker_that_has_the_least_to_do() {
        let mut load = workers(&[true; 3]);
        assert_eq!(load.slots(), 3);
        let assigned = [(); 4].map(|()| load.assign());
        assert_eq!(assigned, [Some(0), Some(1), Some(2), Some(0)]);
        load.done(1);
        assert_eq!(load.assign(), Some(1));
        load.done(0);
        load.done(0);
        assert_eq!(load.assign(), Some(0));
    }

    #[test]
    fn no_work_goes_to_an_empty_slot() {
        let mut load = workers(&[false, true, false]);
        assert_eq!([load.assign(), load.assign()], [Some(1), Some(1)]);
        load.set_present(1, false);
        assert_eq!(load.assign(), None);
        assert_eq!(WorkerLoad::new(0).assign(), None);
    }

    #[test]
    fn a_new_worker_starts_with_what_its_predecessor_has_not_returned() {
        let mut load = workers(&[true; 2]);
        assert_eq!([load.assign(), load.assign()], [Some(0), Some(1)]);
        load.set_present(0, false);
        load.set_present(0, true);
        load.done(1);
        assert_eq!(load.assign(), Some(1));
        load.done(0);
        assert_eq!(load.assign(), Some(0));
    }

    #[test]
    fn an_unknown_slot_changes_nothing() {
        let mut load = workers(&[true]);
        let before = load.clone();
        load.done(0);
        load.done(7);
        load.set_present(7, true);
        assert_eq!(load, before);
    }
}
