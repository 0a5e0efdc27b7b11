//! One table of messages, and every command that says what would become of them: all say the same, and what `run` does.

mod contexts;
mod rows;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use servicebus::{ApplicationValue, Message, Peeked, PeekedState, UnreadableBody};
use shared::{
    change::Operation,
    engine::{Intake, intake::DecodedBody},
    ids::{OrganizationId, SequenceNumber, UserId},
    mapping::{Mapping, MappingRow, OnNull, Template, ValueSource},
    outcome::Outcome,
    plan::{ChangeFilter, LinkRule, OnForeign, Planner, ReadCause, Requirement, RowGrounds, SkipReason},
};
use uuid::Uuid;

use self::contexts::{CONTACT, LINK, OURS, USER, context, entity, linked, several, update};
use super::{
    apply::case::{End, forced},
    dead_letters::show,
    plan,
    replay::preview as replay,
    run::preview as run,
};
use crate::{
    operate::dead_letters::Selection,
    preview::{
        Preview, Subjects,
        judge::{Judged, PANICS, judge, read, report},
        message_check,
        render::Values,
        waiting::Sample,
    },
};

const OTHER: &str = "99999999-2222-4333-8444-000000000002";

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("in range")
}

/// When previews are asked for.
fn now() -> Timestamp {
    second(86_400)
}

fn planner() -> Planner {
    let mut rows = Mapping::preset_b2c().rows().to_vec();
    rows.push(MappingRow {
        source: ValueSource::Template(Template::parse("{jobtitle} {department}").expect("a template")),
        on_null: OnNull::Keep,
        property: shared::property::Property::named("jobTitle").expect("known"),
        ..rows[0].clone()
    });
    let organizations = vec![OrganizationId(OURS.parse().expect("a GUID"))];
    Planner { organizations, ..Planner::new(Mapping::new(rows).expect("a mapping")) }
}

fn message(context: &Value) -> Message {
    with_body(&serde_json::to_vec(context).expect("serializes"))
}

fn with_body(body: &[u8]) -> Message {
    Message {
        sequence: SequenceNumber(42),
        enqueued: Some(second(3_600)),
        body: Ok(Bytes::copy_from_slice(body)),
        ..Message::default()
    }
}

fn with(mut message: Message, properties: &[(&'static str, ApplicationValue)]) -> Message {
    for (name, value) in properties {
        message.properties.set(*name, value.clone());
    }
    message
}

/// One that does not tell when its change happened, so that its place depends on its past.
fn undated() -> Message {
    let mut context = update(&json!({"firstname": "Ada"}), &Value::Null, &linked());
    context.as_object_mut().expect("an object").remove("OperationCreatedOn");
    message(&context)
}

const NAMES: &str = "write givenName";

/// A message by name, and what becomes of it.
type Case<T = Message> = (&'static str, T, &'static str);

/// Each message.
fn table() -> Vec<Case> {
    let decodable = needless_and_written().into_iter().chain(refused()).chain(several_contacts());
    let decodable = decodable.map(|(name, context, expected)| (name, message(&context), expected));
    decodable.chain(unread()).chain(with_a_past()).collect()
}

fn named(set: &Value) -> Value {
    update(set, &Value::Null, &linked())
}

fn created(columns: &Value) -> Value {
    context("Create", "contact", &entity(CONTACT, "contact", columns))
}

fn reference() -> Value {
    let kind = "EntityReference:http://schemas.microsoft.com/xrm/2011/Contracts";
    json!({"__type": kind, "Id": CONTACT, "LogicalName": "contact"})
}

fn needless_and_written() -> Vec<Case<Value>> {
    let name = json!({"firstname": "Ada"});
    let shown = |image: Value| update(&name, &Value::Null, &image);
    let moved = json!({"emailaddress1": "ada@example.com", LINK: USER});
    vec![
        ("a good update", named(&name), NAMES),
        ("a create", created(&json!({"firstname": "Ada", LINK: USER})), NAMES),
        ("a delete", context("Delete", "contact", &reference()), "unchanged operation-ignored"),
        ("no change by the pre image", update(&name, &name, &linked()), "unchanged same-as-before"),
        ("nothing mapped", named(&json!({"telephone1": "1"})), "unchanged nothing-mapped"),
        ("an empty link", shown(json!({ LINK: null })), "unchanged not-a-portal-user"),
        ("no link in the image", shown(json!({"lastname": "L"})), "unchanged link-not-in-image"),
        ("a new link with an address", created(&moved), "write otherMails, signInEmail"),
    ]
}

fn refused() -> Vec<Case<Value>> {
    let name = json!({"firstname": "Ada"});
    let (mut foreign, mut cut) = (named(&name), named(&name));
    foreign["OrganizationId"] = json!(OTHER);
    cut["InputParameters"] = json!([]);
    cut["PostEntityImages"] = json!([]);
    let account = context("Update", "account", &entity(CONTACT, "account", &json!({"name": "A"})));
    let bad = json!({"firstname": "Ada", LINK: "../me"});
    let long = json!({"firstname": "x".repeat(65)});
    vec![
        ("a missing link", update(&name, &Value::Null, &Value::Null), "dead letter UserLinkUnknown"),
        ("a bad link", named(&bad), "dead letter UserLinkInvalid"),
        ("a foreign organization", foreign, "dead letter ForeignOrganization"),
        ("another table", account, "dead letter WrongEntity"),
        (
            "an unknown message",
            context("Frobnicate", "contact", &json!(1)),
            "dead letter MessageNotSupported",
        ),
        ("a cut context", cut, "dead letter ContextTruncated"),
        ("a value that Graph refuses", named(&long), "dead letter ValueInvalid"),
        ("a missing required column", named(&json!({"jobtitle": "Countess"})), "dead letter ColumnMissing"),
    ]
}

fn several_contacts() -> Vec<Case<Value>> {
    let good = (CONTACT, json!({"firstname": "Ada", LINK: USER}));
    let both = several(&[good.clone(), (OTHER, json!({"lastname": "K", LINK: USER}))]);
    let half = several(&[good, (OTHER, json!({"firstname": "E", LINK: "me"}))]);
    let none = several(&[(CONTACT, json!({"firstname": "E", LINK: null}))]);
    vec![
        ("several contacts", both, "write givenName, surname"),
        ("several, of which one fails", half, "dead letter UserLinkInvalid"),
        ("several, of which none needs anything", none, "unchanged not-a-portal-user"),
    ]
}

fn unread() -> Vec<Case> {
    let unread = |why| Message { body: Err(why), ..with_body(b"") };
    let deep = UnreadableBody::Message(servicebus::Damage::Deep);
    vec![
        ("no body that can be decoded", with_body(b"hello"), "dead letter BodyUndecodable"),
        ("an empty body", with_body(b""), "dead letter BodyUndecodable"),
        ("a body of another kind", unread(UnreadableBody::Value), "dead letter BodyUndecodable"),
        ("a message that cannot be taken apart", unread(deep), "dead letter MessageUnreadable"),
        ("a body whose reading panics", with_body(PANICS), "dead letter InternalError"),
    ]
}

fn with_a_past() -> Vec<Case> {
    let marker = [("http://xrm/2011/Claims/MessageMaxSizeExceeded", ApplicationValue::from("true"))];
    let original = [
        ("contactsync-first-seen", ApplicationValue::I64(second(60).as_millisecond())),
        ("contactsync-sequence", ApplicationValue::I64(7)),
    ];
    let returned = [("contactsync-attempt", ApplicationValue::I64(2))];
    let replayed = [
        ("contactsync-replays", ApplicationValue::I64(1)),
        ("contactsync-replay-id", ApplicationValue::from("6a1e2c1e-6c2d-4b0e-9a44-3d0f5c1f7b10")),
        ("contactsync-replayed-at", ApplicationValue::I64(second(3_000).as_millisecond())),
    ];
    let damaged = [
        ("contactsync-attempt", ApplicationValue::from("many")),
        ("contactsync-first-seen", ApplicationValue::I64(i64::MAX)),
        ("contactsync-sequence", ApplicationValue::I64(-7)),
    ];
    let unlinked = message(&update(&json!({"firstname": "Ada"}), &Value::Null, &Value::Null));
    let copy = with(undated(), &original);
    let panics = with(with_body(PANICS), &returned);
    vec![
        ("a context that its sender marks as cut", with(unlinked, &marker), "dead letter ContextTruncated"),
        ("a body whose reading panics once more", panics, "dead letter InternalError"),
        ("a copy that came back", with(copy.clone(), &returned), NAMES),
        ("a copy that was put back", with(copy, &replayed), NAMES),
        ("damaged properties", with(undated(), &damaged), NAMES),
    ]
}

/// The same with a filter, and patience with links of others.
fn strict() -> Planner {
    let filter = ChangeFilter {
        operations: vec![Operation::Create, Operation::Update],
        initiating_users: vec![OTHER.parse().expect("a GUID")],
        max_depth: 2,
        require: vec![Requirement::parse("statecode = 0").expect("a requirement")],
    };
    Planner { filter, on_foreign: OnForeign::Ignore, ..planner() }
}

/// What the filter has a say in.
fn filtered() -> Vec<Case> {
    let (name, kind) =
        (json!({"firstname": "Ada"}), "OptionSetValue:http://schemas.microsoft.com/xrm/2011/Contracts");
    let state = |active: i32| json!({"__type": kind, "Value": active});
    let of =
        |link: &str, active| update(&name, &Value::Null, &json!({LINK: link, "statecode": state(active)}));
    let (mut mine, mut deep) = (of(USER, 0), of(USER, 0));
    mine["InitiatingUserId"] = json!(OTHER);
    deep["Depth"] = json!(3);
    let contexts = [
        ("an active contact", of(USER, 0), NAMES),
        ("an inactive contact", of(USER, 1), "unchanged filter-not-met"),
        ("a contact of unknown state", named(&name), "dead letter ColumnMissing"),
        ("a change of an ignored user", mine, "unchanged initiating-user-ignored"),
        ("a deep change", deep, "unchanged too-deep"),
        ("a merge", context("Merge", "contact", &reference()), "unchanged operation-switched-off"),
        ("a link that is a name", of("ada", 0), "unchanged foreign-link-name"),
        ("a link that may be ours", of(&format!("x{USER}"), 0), "dead letter UserLinkInvalid"),
    ];
    contexts.into_iter().map(|(name, context, expected)| (name, message(&context), expected)).collect()
}

/// A planner that asks, and what it asks about.
fn asking() -> (Planner, Case) {
    let question = "lookup the user whose extensionAttribute7 holds 99999999-2222-4333-8444-000000000001, the id of the contact";
    let rules = vec![LinkRule::Attribute("extensionAttribute7".into())];
    let unlinked = update(&json!({"firstname": "Ada"}), &Value::Null, &Value::Null);
    (Planner { rules, ..planner() }, ("a user who is looked up", message(&unlinked), question))
}

/// Each message, and whom to ask about it.
fn cases() -> impl Iterator<Item = (Planner, Case)> {
    let by = |planner: Planner, table: Vec<Case>| table.into_iter().map(move |case| (planner.clone(), case));
    let (asks, rows) = rows::reading();
    by(planner(), table()).chain(by(strict(), filtered())).chain([asking()]).chain(by(asks, rows))
}

/// Asks each caller about each message.
#[track_caller]
fn check(caller: &str, answer: impl Fn(&Message, &Planner) -> String) {
    for (planner, (name, message, expected)) in cases() {
        assert_eq!(answer(&message, &planner), expected, "{caller} about {name}");
    }
}

fn said(outcome: &str, mut details: Vec<String>) -> String {
    details.sort_unstable();
    details.dedup();
    format!("{outcome} {}", details.join(", "))
}

/// What `run` does, read off what it tells its engine.
fn by_run(message: &Message, planner: &Planner) -> String {
    let Judged { intake, .. } = judge(read, message, planner, RowGrounds::default(), now(), &mut |_| {});
    match intake {
        Intake::Work(works, failures) => {
            let properties = works.iter().flat_map(|one| one.patch.iter());
            let written = said("write", properties.map(|(property, _)| property.to_string()).collect());
            failures.letter().map_or(written, |letter| format!("dead letter {}", letter.reason))
        }
        Intake::Settle(Outcome::Unchanged(why)) => format!("unchanged {}", why.as_str()),
        // Reading it panicked for the first time, if it is returned.
        Intake::Settle(Outcome::DeadLettered(letter) | Outcome::Returned(letter)) => {
            format!("dead letter {}", letter.reason)
        }
        Intake::LookUp(queries) => format!("lookup {}", queries[0]),
        Intake::Read(rows) => format!("row {}", rows[0].cause.as_str()),
        other @ Intake::Settle(..) => panic!("{other:?}"),
    }
}

/// What one of our JSON objects says: a write with its properties, why nothing is to be done, or a dead letter.
fn by_json(object: &Value) -> String {
    let letter = |object: &Value| Some(format!("dead letter {}", object["deadLetter"]["reason"].as_str()?));
    let changes = object["changes"].as_array().map_or(std::slice::from_ref(object), Vec::as_slice);
    if let Some(letter) = letter(object).or_else(|| changes.iter().find_map(letter)) {
        return letter;
    }
    let row = |cause: &Value| Some(format!("row {}", cause.as_str()?));
    let rows = changes.iter().find_map(|change| row(&change["readRow"]["cause"]));
    if let Some(row) = rows.or_else(|| row(&object["readRows"][0]["cause"])) {
        return row;
    }
    if let Some(question) = changes.iter().find_map(|change| change["lookUp"].as_str()) {
        return format!("lookup {question}");
    }
    let writes = changes.iter().map(|change| &change["write"]).filter(|write| write.is_object());
    let writes = writes.chain(object["writes"].as_array().into_iter().flatten());
    let properties: Vec<_> =
        writes.flat_map(|write| write["properties"].as_array().expect("a list")).collect();
    if properties.is_empty() {
        return format!("unchanged {}", changes[0]["nothing"].as_str().expect("a word"));
    }
    said("write", properties.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect())
}

/// The same for a text: it must hold the words that go with an answer.
fn by_text(text: &str, expected: &str) {
    let words = match expected.split_once(' ').expect("two words") {
        ("unchanged", why) => {
            let needless = SkipReason::ALL.into_iter().find(|needless| needless.as_str() == why);
            vec!["nothing".to_owned(), needless.expect("known").explain().to_owned()]
        }
        ("row", cause) => {
            let cause = ReadCause::ALL.into_iter().find(|known| known.as_str() == cause).expect("known");
            vec!["read row".to_owned(), cause.explain().to_owned()]
        }
        ("lookup", question) => vec!["look up".to_owned(), question.to_owned()],
        ("dead", letter) => letter.split(' ').map(str::to_owned).collect(),
        (write, properties) => {
            [write].into_iter().chain(properties.split(", ")).map(str::to_owned).collect::<Vec<_>>()
        }
    };
    for word in words {
        assert!(text.contains(&word), "{word} is not in {text}");
    }
}

fn peeked(message: &Message) -> Peeked {
    Peeked { message: message.clone(), state: PeekedState::Active, scheduled_for: None }
}

#[test]
fn every_command_says_what_run_does() {
    check("run", by_run);
    check("run --dry-run", |message, planner| {
        let preview = Preview::of(message, planner, now());
        let told = run::told(&peeked(message), &preview, planner, true, Values::Hidden);
        by_json(&serde_json::from_str(&told).expect("JSON"))
    });
    check("plan", |message, planner| {
        let judge = plan::Judge::offline(planner.clone());
        let preview = judge.preview(message);
        let said = by_json(&judge.json(&preview));
        assert_eq!(preview.dead_letter().is_some(), said.starts_with("dead letter"), "{said}");
        said
    });
    check("dead-letters show", |message, planner| {
        by_json(&show::json(message, planner, Values::Hidden)["now"])
    });
}

#[test]
fn every_text_says_it_in_words() {
    for (planner, (_, message, expected)) in cases() {
        let preview = Preview::of(&message, &planner, now());
        by_text(&run::told(&peeked(&message), &preview, &planner, false, Values::Hidden), expected);
        by_text(&plan::Judge::offline(planner.clone()).text(&preview), expected);
        by_text(&show::text(&message, &planner, Values::Hidden), expected);
    }
}

#[tokio::test]
async fn a_replay_says_it_too_and_leaves_what_it_cannot_copy() {
    for (planner, (name, message, expected)) in cases() {
        let (outcome, detail) = replay::outcome(&message, &planner, None).await;
        let expected = if message.body.is_err() { "left its body cannot be read" } else { expected };
        let told = format!("{outcome} {detail}").replace("look up", "lookup").replace("read row", "row");
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn check_says_it_too_about_one_message_and_about_those_that_wait() {
    for (planner, (name, message, expected)) in cases() {
        let probes = message_check::check(&message, &planner);
        let last = probes.last().expect("an outcome");
        let words = match expected.split_once(' ').expect("two words") {
            ("dead", letter) => format!("would be a dead letter, {}", letter.trim_start_matches("letter ")),
            ("lookup", question) => format!("would be looked up first: {question}"),
            ("row", cause) => format!("its row would be read first: {cause}"),
            ("write", properties) => format!("would write {properties} to 1 users"),
            _ => "would be completed: ".to_owned(),
        };
        assert!(last.what.starts_with(&words), "{name}: {}", last.what);

        let mut sample = Sample::new(&planner);
        sample.add(&message);
        let waiting = &sample.probes()[0].what;
        let words = match expected.strip_prefix("dead letter ") {
            Some(reason) => format!("looked at 1, of which 1 would be dead letters: 1 {reason}"),
            None => "looked at 1, and each can be dealt with".to_owned(),
        };
        assert_eq!(*waiting, words, "{name}");
    }
}

#[test]
fn apply_refuses_what_run_refuses_and_forces_through_what_a_pre_image_keeps_back() {
    check("apply", |message, planner| {
        // It asks before it plans, and forces through what the message says.
        if !planner.shows_link() || planner.read_back {
            return by_run(message, planner);
        }
        let (changes, unread) = match report(message) {
            Err(letter) => return format!("dead letter {}", letter.reason),
            Ok(DecodedBody::Nothing(why)) => return format!("unchanged {}", why.as_str()),
            Ok(DecodedBody::Changes(changes, unread)) => (changes, unread),
        };
        assert!(unread.is_empty());
        let (mut properties, mut nothing) = (Vec::new(), String::new());
        for change in &changes {
            match forced(change, message, planner, now()).0 {
                Ok(write) => properties.extend(write.entries.iter().map(|entry| entry.property.to_string())),
                Err(End::Impossible(letter)) => return format!("dead letter {}", letter.reason),
                Err(End::Nothing(why)) => nothing = format!("unchanged {}", why.as_str()),
                Err(End::Looked(_)) => unreachable!("nobody looked"),
            }
        }
        let kept_back = changes.iter().any(|change| !change.before.is_empty());
        match properties.is_empty() {
            true => nothing,
            false if kept_back => "unchanged same-as-before".to_owned(),
            false => said("write", properties),
        }
    });
}

#[test]
fn filters_find_contacts_and_users_and_survive_what_cannot_be_read() {
    let (planner, contact) = (planner(), Uuid::try_parse(CONTACT).expect("a GUID"));
    for (name, message, _) in table() {
        let subjects = Subjects::of(&message, &planner);
        let selection = Selection { contact: vec![contact], ..Selection::default() };
        let found = selection.matches(&message, now(), &planner);
        assert_eq!(found, subjects.contacts.iter().any(|one| one.0 == contact), "{name}");
        let readable = report(&message).is_ok_and(|read| matches!(read, DecodedBody::Changes(..)));
        assert_eq!(found, readable, "{name}");
        let selection =
            Selection { user: vec![UserId::parse(USER).expect("a GUID")], ..Selection::default() };
        assert!(!selection.matches(&message, now(), &planner) || found, "{name}");
    }
}

#[test]
fn a_write_is_compared_under_the_stamp_that_run_gives_it() {
    let planner = planner();
    for (name, message, _) in table() {
        let Judged { intake, history } =
            judge(read, &message, &planner, RowGrounds::default(), now(), &mut |_| {});
        let Intake::Work(works, _) = intake else { continue };
        let preview = Preview::of(&message, &planner, now());
        assert_eq!(preview.writes.len(), works.len(), "{name}");
        for (one, work) in preview.writes.iter().zip(&works) {
            // The engine's own words.
            let stamp = work.stamp(history.first_seen.unwrap_or(now()), history.arrival);
            assert!(one.write.entries.iter().all(|entry| entry.stamp == stamp), "{name}");
            assert_eq!(one.write.urgency, history.urgency, "{name}");
        }
    }
    for (properties, at, arrival) in [("a copy that came back", 60, 7), ("a copy that was put back", 60, 7)] {
        let (_, message, _) = table().into_iter().find(|(name, ..)| *name == properties).expect("a row");
        let preview = Preview::of(&message, &planner, now());
        let stamp = preview.writes[0].write.entries[0].stamp;
        assert_eq!((stamp.version.at, stamp.arrival), (second(at), SequenceNumber(arrival)), "{properties}");
        let change = &crate::preview::judge::changes(&preview.report)[0];
        let (Ok(write), _) = forced(change, &message, &planner, now()) else {
            panic!("apply has nothing to write")
        };
        assert!(write.entries.iter().all(|entry| entry.stamp == stamp), "{properties}");
    }
}
