//! What kind of world it is, and what is reported of it.

use std::ops::AddAssign;

/// What kind of world it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own, and a seed answers them all"
)]
pub struct Shape {
    /// Replicas on the queue.
    pub replicas: usize,
    /// Whether they die or are stopped, and come back.
    pub crashes: bool,
    /// Whether the guard is on.
    pub guard: bool,
    /// Whether writes are looked at again.
    pub verify: bool,
    /// Changes posted.
    pub changes: usize,
    /// Users they are spread over.
    pub users: u8,
    /// Whether Graph fails for ever on one of them.
    pub doomed: bool,
}

impl Shape {
    /// The shape that goes with a seed: alone and undisturbed, alone with crashes, or several with crashes. Where
    /// memory can be lost, the guard is on, as the documentation asks for.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let (replicas, crashes, guard) = match seed % 4 {
            0 => (1, false, false),
            1 => (1, false, true),
            2 => (1, true, true),
            _ => (3, true, true),
        };
        Self { replicas, crashes, guard, verify: guard, changes: 60, users: 6, doomed: seed % 20 >= 16 }
    }
}

/// What happened in a world that kept its promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Writes that took effect.
    pub writes: u64,
    /// Crashes.
    pub crashes: u64,
    /// Replicas that were asked to stop, and did.
    pub stops: u64,
    /// Times a message was handed out.
    pub deliveries: u64,
    /// Users for whom two replicas crossed each other; the newest value stands for them all the same.
    pub crossed: u64,
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.writes += other.writes;
        self.crashes += other.crashes;
        self.stops += other.stops;
        self.deliveries += other.deliveries;
        self.crossed += other.crossed;
    }
}
