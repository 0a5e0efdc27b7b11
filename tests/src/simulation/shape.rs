//! What kind of world it is, and what is reported of it.

use std::{num::NonZeroU32, ops::AddAssign};

/// Users that changes are spread over.
const USERS: u8 = 6;

/// What kind of world it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own, and a seed answers them all"
)]
pub struct Shape {
    /// Replicas on the queue.
    pub replicas: usize,
    /// Whether they agree by a lease on who of them writes.
    pub leased: bool,
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
    /// What is wrong with the installation while it is at fault.
    pub fault: Fault,
    /// What Graph answers for ever for the first of the users, who are this many.
    pub guilt: Guilt,
    /// How many users that is.
    pub guilty: u8,
    /// Whether the database of the organization is restored in the middle, and its row versions start lower.
    pub restored: bool,
    /// Whether the queue drops what comes twice under one message-id.
    pub detects: bool,
    /// Users that one author may change alike before the rest is held aside, and let through by somebody some time later.
    /// Where it is all of them, nothing may be held.
    pub most_alike: Option<NonZeroU32>,
    /// Whether messages are of contacts in a table that is held against the directory, and how.
    pub table: Option<TableKind>,
    /// What the product does and this world takes away, so that its tests can show what that is for.
    pub without: Option<Remedy>,
}

/// What the answers are while the installation is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no token.
    Token,
    /// Everybody is denied.
    Denied,
    /// Every value is refused, as with a guard attribute that the tenant does not have.
    Refused,
    /// One property is refused for everybody, and others are written.
    Property,
    /// Nobody is found, as in the wrong tenant.
    Unknown,
    /// A portal on the way answers 200 with a page.
    Portal,
}

impl Fault {
    const ALL: [Self; 6] =
        [Self::Token, Self::Denied, Self::Refused, Self::Property, Self::Unknown, Self::Portal];
}

/// What Graph answers for ever for some users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guilt {
    /// It fails.
    Fails,
    /// It denies, as for an administrator.
    Denied,
    /// It refuses every value, as for a user who is mastered elsewhere.
    Refused,
    /// It does not know him.
    Unknown,
}

impl Guilt {
    const ALL: [Self; 4] = [Self::Fails, Self::Denied, Self::Refused, Self::Unknown];
}

/// Something that keeps a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Refusals are judged by what becomes of others.
    Judgement,
    /// Only Graph's own answer is a success.
    Doubt,
    /// Copies that were sent are remembered.
    Memory,
    /// A later change wins in spite of a lower row version.
    Time,
    /// Locks are renewed.
    Renewal,
    /// The lease is asked once more when a write begins.
    Fence,
    /// Who takes over from one that said no goodbye waits for a while.
    Quiet,
    /// The service renews the lock of a session only for the link that has it.
    Session,
    /// What a pass posts carries the version of its row.
    RowVersion,
    /// It takes over the time of the mark.
    MarkTime,
    /// A pass reads every page.
    Pages,
    /// It reads a row after its user.
    Order,
}

impl Shape {
    /// The shape that goes with a seed: of five worlds, one has replicas with a lease.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        if seed % 5 == 4 { Self::with_lease(seed) } else { Self::without_lease(seed) }
    }

    /// Replicas of which one writes. The guard is on, and writes are looked at again only after a takeover that needs it.
    #[must_use]
    pub fn with_lease(seed: u64) -> Self {
        let replicas = if seed.is_multiple_of(3) { 2 } else { 3 };
        let crashes = !seed.is_multiple_of(4);
        let other = Self::without_lease(seed);
        // Worlds with guilty users last for hours, in which nothing happens to a lease any more.
        let guilty = if seed.is_multiple_of(6) { other.guilty } else { 0 };
        Self { replicas, leased: true, crashes, guard: true, verify: false, guilty, ..other }
    }

    /// The shape without a lease: alone and undisturbed, alone with crashes, or several with crashes. Where
    /// memory can be lost, the guard is on, as the documentation asks for.
    #[must_use]
    pub fn without_lease(seed: u64) -> Self {
        let (replicas, crashes, guard) = match seed % 4 {
            0 => (1, false, false),
            1 => (1, false, true),
            2 => (1, true, true),
            _ => (3, true, true),
        };
        let pick = |part: u64, count: usize| usize::try_from(seed / part).unwrap_or(0) % count;
        Self {
            replicas,
            leased: false,
            crashes,
            guard,
            verify: guard,
            changes: 60,
            users: USERS,
            fault: Fault::ALL[pick(4, Fault::ALL.len())],
            guilt: Guilt::ALL[pick(28, Guilt::ALL.len())],
            guilty: [0, 1, 0, 2, 0, 0, 3][pick(4, 7)],
            restored: pick(12, 3) == 0,
            detects: pick(20, 2) == 0,
            most_alike: NonZeroU32::new([u32::from(USERS), 2, 1, 0][pick(3, 4)]),
            table: None,
            without: None,
        }
    }

    /// A world of contacts. Memory can be lost in it, so the guard is on, as the documentation asks for.
    #[must_use]
    pub fn with_table(seed: u64) -> Self {
        let other = if seed.is_multiple_of(4) { Self::with_lease(seed) } else { Self::without_lease(seed) };
        let replicas = if other.leased { other.replicas } else { 1 };
        let kind = TableKind {
            numbered: !seed.is_multiple_of(5),
            before: seed.is_multiple_of(2),
            diff: seed.is_multiple_of(3),
            requires: !seed.is_multiple_of(7),
            reads: (seed / 4).is_multiple_of(2),
        };
        let table = Some(kind);
        Self {
            replicas,
            guard: true,
            guilty: 0,
            restored: false,
            changes: 40,
            table,
            most_alike: None,
            ..other
        }
    }
}

/// How contacts are posted, and how users are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own, and a seed answers them all"
)]
pub struct TableKind {
    /// Whether messages carry the row version. Without it two changes of a contact within a second cannot be told apart.
    pub numbered: bool,
    /// Whether they have a pre image.
    pub before: bool,
    /// Whether only differences are written.
    pub diff: bool,
    /// Whether only active contacts count.
    pub requires: bool,
    /// Whether rows are read for messages that do not say enough.
    pub reads: bool,
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
    /// Times one was held aside.
    pub held_aside: u64,
    /// Users for whom two replicas crossed each other; the newest value stands for them all the same.
    pub crossed: u64,
    /// Terms that began.
    pub takeovers: u64,
    /// Those among them that found no goodbye.
    pub unclean: u64,
    /// Times a replica lost its lease.
    pub lost: u64,
    /// Writes that were not begun, because the lease had run out at the last moment.
    pub not_begun: u64,
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.writes += other.writes;
        self.crashes += other.crashes;
        self.stops += other.stops;
        self.deliveries += other.deliveries;
        self.held_aside += other.held_aside;
        self.crossed += other.crossed;
        self.takeovers += other.takeovers;
        self.unclean += other.unclean;
        self.lost += other.lost;
        self.not_begun += other.not_begun;
    }
}
