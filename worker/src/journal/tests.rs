//! What is told comes back, whatever happens to the files; and nothing of anybody is in them.

use std::{fs, path::Path, time::Duration};

use jiff::Timestamp;
use proptest::{collection::vec, option, prelude::*};
use shared::{
    ids::{SequenceNumber, UserId},
    outcome::Outcome,
    reason::{DeadLetter, DeadLetterReason},
};
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    files::{Bounds, Log},
    reading::line,
    scribe::JournalOptions,
    *,
};

const BOUNDS: Bounds = Bounds { bytes: 4_000, keep: Duration::from_hours(2) };

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + millis).expect("in range")
}

fn key() -> TagKey {
    TagKey::of(&[7; 32])
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn options(directory: &Path, optional: bool) -> JournalOptions {
    let queue = "contacts".to_owned();
    JournalOptions {
        directory: directory.to_owned(),
        host: "pod/0".into(),
        bounds: BOUNDS,
        optional,
        queue,
        target: None,
    }
}

fn text(entry: &Entry<Tag>, millis: i64) -> Vec<u8> {
    let mut lines = Vec::new();
    line(at(millis), entry, &mut lines);
    lines
}

fn found(directory: &Path) -> (Vec<Entry<Tag>>, Reading) {
    let mut entries = Vec::new();
    let reading = read(directory, |_, _, entry| entries.push(entry)).expect("read");
    (entries, reading)
}

fn messages(directory: &Path) -> Vec<i64> {
    let told = found(directory).0.into_iter();
    told.filter_map(|entry| match entry {
        Entry::Found { message, .. } => Some(message),
        _ => None,
    })
    .collect()
}

fn any_id() -> impl Strategy<Value = Id> {
    let id = any::<u128>().prop_map(Uuid::from_u128);
    (id, 0..3_u8).prop_map(|(id, kind)| match kind {
        0 => Id::Contact(id),
        1 => Id::User(id),
        _ => Id::Job(id),
    })
}

fn any_call() -> impl Strategy<Value = GraphCall> {
    (".*", option::of(".*"))
        .prop_map(|(id, client)| GraphCall::new("PATCH", "429", Some(&id), client.as_deref()))
}

fn any_cause() -> impl Strategy<Value = FailureCause> {
    (".*", ".*").prop_map(|(code, text)| {
        let mut letter = DeadLetter::new(DeadLetterReason::GraphRefused, &text).about(&text);
        letter.code = Some(code.into());
        FailureCause::from(&letter)
    })
}

fn any_entry() -> impl Strategy<Value = Entry<Id>> {
    let seen =
        (any::<i64>(), any::<u32>(), option::of(any::<i64>()), vec(any_id(), 0..4), option::of(any_id()));
    prop_oneof![
        (".*", option::of(".*")).prop_map(|(queue, target)| Entry::Began {
            run: "r".into(),
            version: "1".into(),
            queue,
            target
        }),
        Just(Entry::Ended),
        seen.prop_map(|(message, count, copy_of, ids, job)| Entry::Seen(Sighting {
            message,
            copy_of,
            attempt: count,
            replays: count / 3,
            deliveries: count % 3,
            enqueued: message,
            contacts: ids.clone(),
            users: ids,
            job,
        })),
        (any::<i64>(), vec(any_id(), 0..3)).prop_map(|(message, users)| Entry::Found { message, users }),
        (any::<u64>(), any_id(), vec(any::<i64>(), 0..4), vec(".*", 0..3)).prop_map(
            |(write, user, messages, properties)| {
                let contacts = vec![user];
                Entry::Write { write, request: RequestIds::new(), user, contacts, messages, properties }
            }
        ),
        (any::<u64>(), any_cause(), option::of(any::<u64>()), vec(any_call(), 0..3)).prop_map(
            |(write, cause, retry_after_ms, calls)| Entry::Wrote {
                write,
                end: WriteEnd::Failed { class: "throttled".into(), retry_after_ms, cause },
                calls,
            }
        ),
        (any_id(), option::of(any_cause()), vec(".*", 0..2))
            .prop_map(|(user, failed, undone)| { Entry::Looked { user, undone, failed, calls: Vec::new() } }),
        (any::<i64>(), option::of(any_cause()), option::of(any::<i64>())).prop_map(
            |(message, cause, due)| {
                Entry::Settling { message, outcome: "returned".into(), needless: None, cause, due }
            }
        ),
        vec(any::<i64>(), 1..4).prop_map(|messages| Entry::Settled { messages }),
        any::<i64>().prop_map(|message| Entry::Unsettled { message }),
    ]
}

proptest! {
    #[test]
    fn an_entry_comes_back_from_its_line_and_names_nobody(entry in any_entry(), millis in 0..10_000_000_i64) {
        let (folder, tagged) = (folder(), entry.clone().map(|id| key().tag(id)));
        let text = text(&tagged, millis);
        prop_assert_eq!(text.iter().position(|byte| *byte == b'\n'), Some(text.len() - 1));
        entry.map(|id| {
            let (Id::Contact(id) | Id::User(id) | Id::Job(id)) = id;
            for form in [id.to_string(), id.simple().to_string()] {
                assert!(!String::from_utf8_lossy(&text).contains(&form), "{form}");
            }
        });
        fs::write(folder.path().join("a.1.jsonl"), &text).expect("written");
        prop_assert_eq!(found(folder.path()).0, [tagged]);
    }

    #[test]
    fn a_file_that_was_cut_anywhere_is_read_up_to_there_and_gone_on_with(cut in 0..400_usize) {
        let folder = folder();
        let entry = |message| Entry::Found { message, users: vec![key().tag(Id::User(Uuid::nil()))] };
        let mut log = Log::open(folder.path(), "h", BOUNDS, at(0)).expect("opened");
        let lines: Vec<_> = (0..5).flat_map(|message| text(&entry(message), 0)).collect();
        log.append(&lines).expect("written");
        drop(log);
        let path = folder.path().join("h.1.jsonl");
        let cut = cut.min(lines.len());
        fs::File::options().write(true).open(&path).expect("there").set_len(cut as u64).expect("cut");
        let whole: Vec<_> = (0..i64::try_from(lines[..cut].split(|byte| *byte == b'\n').count() - 1).expect("few")).collect();
        // One whose end of line is missing is whole all the same.
        let at_end = cut > 0 && lines[cut - 1] != b'\n' && lines.get(cut) == Some(&b'\n');
        let mut log = Log::open(folder.path(), "h", BOUNDS, at(0)).expect("opened again");
        log.append(&text(&entry(99), 1)).expect("written");
        let mut expected = whole.clone();
        expected.extend(at_end.then_some(i64::try_from(whole.len()).expect("few")));
        expected.push(99);
        prop_assert_eq!(messages(folder.path()), expected);
    }

    #[test]
    fn garbage_is_passed_over_and_counted(garbage in vec(any::<u8>(), 0..3_000)) {
        let folder = folder();
        let good = text(&Entry::Found { message: 5, users: Vec::new() }, 0);
        let whole = [&good[..], &garbage, b"\n", &good].concat();
        fs::write(folder.path().join("a.1.jsonl"), whole).expect("written");
        prop_assert!(messages(folder.path()).len() >= 2);
    }

    #[test]
    fn the_newest_entries_are_kept_and_never_more_than_allowed(batches in vec(1..12_i64, 1..40)) {
        let folder = folder();
        let mut log = Log::open(folder.path(), "h", BOUNDS, at(0)).expect("opened");
        let mut next = 0;
        for batch in batches {
            let entries = (next..next + batch).map(|message| Entry::Found { message, users: Vec::new() });
            let lines: Vec<_> = entries.flat_map(|entry| text(&entry, 0)).collect();
            next += batch;
            if log.is_full(lines.len(), at(0)) {
                log.rotate(at(0)).expect("rotated");
            }
            log.append(&lines).expect("written");
            let bytes: u64 = ["h.1.jsonl", "h.1.old.jsonl"]
                .iter()
                .filter_map(|name| fs::metadata(folder.path().join(name)).ok())
                .map(|file| file.len())
                .sum();
            prop_assert!(bytes <= BOUNDS.bytes, "{bytes}");
            let kept = messages(folder.path());
            let newest: Vec<_> = (next - i64::try_from(kept.len()).expect("few")..next).collect();
            prop_assert_eq!(kept, newest);
        }
    }
}

#[test]
fn a_line_that_is_too_long_costs_only_itself() {
    let folder = folder();
    let good = text(&Entry::Found { message: 5, users: Vec::new() }, 0);
    let whole = [&good[..], &vec![b'x'; 3 << 20], b"\n", &good].concat();
    fs::write(folder.path().join("a.1.jsonl"), whole).expect("written");
    assert_eq!((messages(folder.path()), found(folder.path()).1.unreadable), (vec![5, 5], 1));
}

#[tokio::test]
async fn replicas_in_one_directory_have_files_of_their_own_and_one_key() {
    let folder = folder();
    let both: Vec<_> =
        (0..2).map(|_| Journal::start(options(folder.path(), false), || {}).expect("started")).collect();
    for (number, journal) in (0_i64..).zip(&both) {
        let users = vec![Id::from(UserId(Uuid::from_u128(9)))];
        // It has a file once that stands in it; whoever comes after one has closed may take over its place.
        journal.kept(journal.foretell(Entry::Found { message: number, users })).await;
    }
    both.iter().for_each(Journal::close);
    let key = TagKey::read(folder.path()).expect("a key");
    let (entries, reading) = found(folder.path());
    assert_eq!((reading.files, reading.unreadable), (2, 0));
    let users: Vec<_> = entries
        .into_iter()
        .filter_map(|entry| if let Entry::Found { users, .. } = entry { Some(users) } else { None })
        .collect();
    assert_eq!(users, [[key.tag(Id::User(Uuid::from_u128(9)))], [key.tag(Id::User(Uuid::from_u128(9)))]]);
    assert_ne!(key.tag(Id::User(Uuid::nil())), key.tag(Id::Contact(Uuid::nil())));
}

#[test]
fn what_is_foretold_stands_in_the_file_before_it_is_done() {
    let folder = folder();
    let journal = Journal::start(options(folder.path(), false), || {}).expect("started");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for message in 1..=50 {
        let mark = journal.foretell(Entry::Found { message, users: Vec::new() });
        runtime.block_on(journal.kept(mark));
        assert!(journal.is_kept(mark));
        assert_eq!(messages(folder.path()).last(), Some(&message));
    }
    // Whoever is killed now says nothing more: nothing is written when it is dropped that was not before.
    assert_eq!(messages(folder.path()).len(), 50);
}

#[tokio::test]
async fn the_calls_of_a_write_have_the_ids_that_were_foretold() {
    let ids = RequestIds::new();
    let (taken, calls) = gathering(Some(ids), async {
        note(|| GraphCall::new("PATCH", "204", None, None));
        [next_request_id(), next_request_id()]
    })
    .await;
    let first = serde_json::to_value(ids).expect("serializes");
    let first: Uuid = first.as_str().and_then(|text| text.parse().ok()).expect("an id");
    assert_eq!(taken, [Some(first), Some(Uuid::from_u128(first.as_u128() + 1))]);
    assert!(first.to_string().ends_with("0000") && first.get_version_num() == 4, "{first}");
    assert_eq!(calls.len(), 1);
    assert_eq!(next_request_id(), None, "outside of a write");
    assert_eq!(gathering(None, async { next_request_id() }).await.0, None);
}

#[test]
fn without_its_key_a_journal_names_nobody_and_goes_on_with_another() {
    let folder = folder();
    let user = Id::User(Uuid::from_u128(9));
    let told = || {
        let journal = Journal::start(options(folder.path(), false), || {}).expect("started");
        journal.tell(Entry::Found { message: 1, users: vec![user] });
        journal.close();
        TagKey::read(folder.path()).expect("a key").tag(user)
    };
    let first = told();
    fs::remove_file(folder.path().join("journal.key")).expect("removed");
    let second = told();
    assert_ne!(first, second);
    assert_eq!(messages(folder.path()), [1, 1]);
}

#[test]
fn a_directory_that_cannot_be_written_is_counted_and_never_stops_anybody() {
    let folder = folder();
    let nowhere = folder.path().join("nowhere");
    let journal = Journal::start(options(&nowhere, false), || {}).expect("started");
    journal.tell(Entry::Ended);
    let mark = journal.foretell(Entry::settling(SequenceNumber(1), &Outcome::Applied, None));
    // Nobody waits for what cannot be written.
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(journal.kept(mark));
    journal.close();
    assert_eq!(journal.take_lost(), 2);
    assert!(journal.fault().is_some_and(|fault| fault.contains("journal.key") || fault.contains("nowhere")));
    // Nobody has asked for this one.
    let journal = Journal::start(options(&nowhere, true), || {}).expect("started");
    journal.close();
    journal.tell(Entry::Ended);
    assert_eq!((journal.is_on(), journal.take_lost(), journal.fault()), (false, 0, None));
}

#[test]
fn what_has_been_kept_long_enough_is_removed() {
    let folder = folder();
    let now = Timestamp::try_from(fs::metadata(folder.path()).and_then(|it| it.modified()).expect("a time"))
        .expect("in range");
    let mut log = Log::open(folder.path(), "h", BOUNDS, now).expect("opened");
    log.append(b"[1,\"ended\"]\n").expect("written");
    fs::write(folder.path().join("gone.1.jsonl"), "[1,\"ended\"]\n").expect("written");
    let later = |minutes| now + Duration::from_mins(minutes);
    assert!(!log.is_full(0, later(50)) && log.is_full(0, later(70)));
    log.rotate(later(70)).expect("rotated");
    log.expire(later(55));
    assert_eq!(found(folder.path()).1.files, 3);
    log.expire(later(70));
    assert_eq!(found(folder.path()).1.files, 2, "the old file");
    drop(log);
    Log::open(folder.path(), "h", BOUNDS, later(130)).expect("opened");
    assert!(!folder.path().join("gone.1.jsonl").exists());
}
