//! Which messages and writes are meant, and what is told of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::event::{StoryEvent, What};
use crate::journal::{Entry, Id, Place, Tag, TagKey};

/// The state in which nothing holds writes back.
const OPEN: &str = "open";

/// What is meant by an id, run by run: a sequence number names a message within one queue only, and a replica tells of each
/// delivery which contact it is about.
pub(super) struct Matching<'t> {
    contact: Tag,
    user: Tag,
    job: Tag,
    target: Option<&'t str>,
    kinds: BTreeSet<&'static str>,
    runs: HashMap<Place, Run>,
    /// Which run of each replica is being read.
    current: BTreeMap<String, Place>,
}

#[derive(Default)]
struct Run {
    /// Whether it is about another target.
    foreign: bool,
    messages: HashSet<i64>,
    /// Of them, those that the job has posted: all of their writes are meant, whomever they are about.
    posted: HashSet<i64>,
    writes: HashSet<u64>,
    users: HashSet<Tag>,
    /// Messages that are not settled yet, those of them that are going to be, and writes that have not ended.
    open: BTreeSet<i64>,
    settling: BTreeSet<i64>,
    writing: BTreeSet<u64>,
    /// What holds writes back, and whether that was taken.
    state: Option<(Timestamp, Entry<Tag>, bool)>,
    last: Option<Timestamp>,
    ended: bool,
}

impl<'t> Matching<'t> {
    pub(super) fn new(key: &TagKey, id: Uuid, target: Option<&'t str>) -> Self {
        let [contact, user, job] = [Id::Contact(id), Id::User(id), Id::Job(id)].map(|id| key.tag(id));
        let (kinds, runs, current) = (BTreeSet::new(), HashMap::new(), BTreeMap::new());
        Self { contact, user, job, target, kinds, runs, current }
    }

    /// As what the id is known.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.iter().copied()
    }

    /// The first reading: which messages and writes are meant.
    pub(super) fn learn(&mut self, place: &Place, entry: &Entry<Tag>) {
        let (contact, user, job) = (self.contact, self.user, self.job);
        let run = self.runs.entry(place.clone()).or_default();
        match entry {
            Entry::Began { target, .. } => {
                run.foreign = self.target.is_some() && target.as_deref() != self.target;
            }
            _ if run.foreign => {}
            Entry::Seen(seen) => {
                let is = [
                    ("contact", seen.contacts.contains(&contact)),
                    ("user", seen.users.contains(&user)),
                    ("job", seen.job == Some(job)),
                ];
                self.kinds.extend(is.iter().filter(|(_, is)| *is).map(|(kind, _)| kind));
                if is.iter().any(|(_, is)| *is) {
                    run.messages.insert(seen.message);
                }
                if seen.job == Some(job) {
                    run.posted.insert(seen.message);
                }
            }
            Entry::Found { message, users } if users.contains(&user) => {
                self.kinds.insert("user");
                run.messages.insert(*message);
            }
            Entry::Write { write, user: whom, contacts, messages, .. } => {
                let repairs = messages.is_empty() && run.users.contains(whom);
                let posted = messages.iter().any(|message| run.posted.contains(message));
                if *whom == user || contacts.contains(&contact) || posted || repairs {
                    run.writes.insert(*write);
                    run.users.insert(*whom);
                }
            }
            _ => {}
        }
    }

    /// The second reading: takes what is told of them.
    pub(super) fn take(
        &mut self,
        place: &Place,
        at: Timestamp,
        entry: &Entry<Tag>,
        events: &mut Vec<StoryEvent>,
    ) {
        let before = self.current.get(&place.replica).filter(|before| *before != place).cloned();
        if let Some(before) = before {
            self.cut_off(&before, events);
        }
        if self.current.get(&place.replica) != Some(place) {
            self.current.insert(place.replica.clone(), place.clone());
        }
        let Some(run) = self.runs.get_mut(place).filter(|run| !run.foreign) else { return };
        run.last = Some(at);
        if let Entry::Settled { messages } = entry {
            // Told of many at once; each is an event of its own.
            for &message in messages {
                if !run.messages.contains(&message) {
                    continue;
                }
                run.settled(message);
                let what = What::Told(Entry::Settled { messages: vec![message] });
                events.push(StoryEvent { at, place: place.clone(), what });
            }
            return;
        }
        if !run.is_meant(entry) {
            return;
        }
        if matches!(entry, Entry::Seen(_))
            && let Some((since, state, false)) = run.state.clone()
        {
            // What held everybody back already when the message came.
            run.state = Some((since, state.clone(), true));
            events.push(StoryEvent { at: since, place: place.clone(), what: What::Told(state) });
        }
        if run.note(at, entry) {
            events.push(StoryEvent { at, place: place.clone(), what: What::Told(entry.clone()) });
        }
    }

    /// All was read.
    pub(super) fn end(&mut self, events: &mut Vec<StoryEvent>) {
        for place in self.current.clone().into_values() {
            self.cut_off(&place, events);
        }
    }

    /// A run tells nothing more. That is told if something of ours was open.
    fn cut_off(&mut self, place: &Place, events: &mut Vec<StoryEvent>) {
        let Some(run) = self.runs.get_mut(place) else { return };
        let (open, stopped) = (std::mem::take(&mut run.open), run.ended);
        let writes: Vec<_> = std::mem::take(&mut run.writing).into_iter().collect();
        let settling: Vec<_> = std::mem::take(&mut run.settling).into_iter().collect();
        let begun = !writes.is_empty() || !settling.is_empty();
        // A run that stops lets go of messages; they come again.
        if let (Some(at), true) = (run.last, begun || !open.is_empty() && !stopped) {
            let what = What::CutOff { stopped, writes, settling };
            events.push(StoryEvent { at, place: place.clone(), what });
        }
    }
}

impl Run {
    fn is_meant(&self, entry: &Entry<Tag>) -> bool {
        match entry {
            Entry::Seen(seen) => self.messages.contains(&seen.message),
            Entry::Found { message, .. } | Entry::Settling { message, .. } | Entry::Unsettled { message } => {
                self.messages.contains(message)
            }
            Entry::Settled { messages } => messages.iter().any(|message| self.messages.contains(message)),
            Entry::Write { write, .. } | Entry::Wrote { write, .. } => self.writes.contains(write),
            Entry::Looked { user, .. } => self.users.contains(user),
            Entry::State { .. } | Entry::Began { .. } | Entry::Ended => true,
        }
    }

    fn settled(&mut self, message: i64) {
        self.open.remove(&message);
        self.settling.remove(&message);
    }

    /// Notes what it means for what comes later. Returns whether it belongs to the story.
    fn note(&mut self, at: Timestamp, entry: &Entry<Tag>) -> bool {
        match entry {
            Entry::Seen(seen) => drop(self.open.insert(seen.message)),
            Entry::Settling { message, .. } => drop(self.settling.insert(*message)),
            Entry::Settled { messages } => messages.iter().for_each(|message| self.settled(*message)),
            Entry::Unsettled { message } => self.settled(*message),
            Entry::Write { write, .. } => drop(self.writing.insert(*write)),
            Entry::Wrote { write, .. } => drop(self.writing.remove(write)),
            Entry::Found { .. } | Entry::Looked { .. } => {}
            Entry::State { state } => {
                let concerns = !self.open.is_empty();
                // The end of something that was taken is taken too.
                let taken = concerns || self.state.as_ref().is_some_and(|(_, _, taken)| *taken);
                self.state = (state != OPEN).then(|| (at, entry.clone(), concerns));
                return taken;
            }
            Entry::Began { .. } => return false,
            Entry::Ended => {
                self.ended = true;
                return false;
            }
        }
        true
    }
}
