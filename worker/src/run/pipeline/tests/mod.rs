//! What a panic costs: one message, and nothing else; what becomes of a message of which no copy can be made; and what a
//! replica settles that was frozen ([`frozen`]). Everything else is tested with the real queue.

mod frozen;

use std::{path::Path, sync::Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use servicebus::{
    LinkState, Message, MessagingSystem, Outgoing, Peek, Peeked, RefusalKind, RenewError, Settle as Settles,
    SettleError, Settlement,
};
use shared::{
    engine::{Failures, Intake, Planned},
    ids::{ContactId, SequenceNumber},
    lanes::Success,
    patch::{PropertyValue, UserPatch, UserWrite},
    plan::{LinkAnswer, LinkQuery, Planner, RowGrounds},
    property::Property,
    reason::DeadLetterReason,
};
use tokio::time::sleep;
use uuid::Uuid;

use super::*;
use crate::{
    preview::judge,
    settings,
    telemetry::{labels::Warning, observer::tests::observer},
};

/// A queue of a few messages that writes down what became of them.
struct Shelf {
    waiting: Mutex<Vec<Delivery>>,
    record: Arc<Record>,
    credit: watch::Sender<u32>,
    /// What copies meet.
    refusal: Option<Class>,
    /// Whether nobody can look into it.
    blind: bool,
}

#[derive(Default)]
struct Record {
    settled: Mutex<Vec<(LockToken, Settlement)>>,
    copies: Mutex<Vec<Outgoing>>,
}

#[async_trait]
impl Settles for Record {
    async fn settle(&self, lock: LockToken, settlement: Settlement) -> Result<(), SettleError> {
        self.settled.lock().expect("no panic under the lock").push((lock, settlement));
        Ok(())
    }

    fn dropped(&self, _: LockToken) {}
}

#[async_trait]
impl Peek for Shelf {
    async fn peek(&self, _: SequenceNumber, _: u32) -> Result<Vec<Peeked>, servicebus::Error> {
        if self.blind { Err(refused("peeking", Class::Transient)) } else { Ok(Vec::new()) }
    }
}

#[async_trait]
impl Queue for Shelf {
    async fn receive(&self) -> Result<Vec<Delivery>, servicebus::Error> {
        let mut credit = self.credit.subscribe();
        credit.wait_for(|credit| *credit > 0).await.expect("the sender lives");
        let taken = std::mem::take(&mut *self.waiting.lock().expect("no panic under the lock"));
        if taken.is_empty() { std::future::pending().await } else { Ok(taken) }
    }

    fn set_credit(&self, messages: u32) {
        self.credit.send_replace(messages);
    }

    async fn renew(&self, locks: &[LockToken]) -> Vec<Result<(), RenewError>> {
        locks.iter().map(|_| Ok(())).collect()
    }

    fn lock_length(&self) -> Duration {
        Duration::from_mins(1)
    }

    fn state(&self) -> watch::Receiver<LinkState> {
        watch::channel(LinkState::Ready).1
    }

    fn browser(&self) -> Arc<dyn Peek> {
        unreachable!("who is tested looks into the queue itself")
    }

    fn dead_letter_browser(&self) -> Arc<dyn Peek> {
        unreachable!("who is tested looks into the queue itself")
    }

    async fn attach_sender(&self) -> Result<(), servicebus::Error> {
        Ok(())
    }

    fn system(&self) -> MessagingSystem {
        MessagingSystem::SERVICE_BUS
    }

    async fn send(&self, _: Outgoing) -> Result<(), servicebus::Error> {
        Err(servicebus::Error::Closed)
    }

    async fn schedule(&self, message: Outgoing, _: Timestamp) -> Result<(), servicebus::Error> {
        if let Some(class) = self.refusal {
            return Err(refused("sending", class));
        }
        self.record.copies.lock().expect("no panic under the lock").push(message);
        Ok(())
    }

    async fn cancel_scheduled(&self, _: &[SequenceNumber]) -> Result<bool, servicebus::Error> {
        unreachable!("nobody takes back what is scheduled")
    }

    async fn close(&self) {}
}

fn refused(doing: &'static str, class: Class) -> servicebus::Error {
    let (condition, description) = ("amqp:some-condition".into(), "in a test".into());
    servicebus::Error::Refused { doing, condition, description, kind: RefusalKind::Other, class }
}

/// Panics for the first users, and takes everything for all others.
struct Touchy;

const TOUCHY: u128 = 100;

#[async_trait]
impl Directory for Touchy {
    fn distrust_looks_until(&self, _: Instant) {}

    async fn apply(&self, write: &UserWrite) -> Result<Success, graph::Error> {
        assert!(write.user.0.as_u128() >= TOUCHY, "this write panics");
        Ok(Success { written: true, ..Success::default() })
    }

    async fn find(&self, _: &LinkQuery) -> Result<LinkAnswer, graph::Error> {
        unreachable!("every message names its user")
    }

    async fn verify(&self, write: &UserWrite) -> Result<Vec<Property>, graph::Error> {
        assert!(write.user.0.as_u128() > TOUCHY, "this look panics");
        Ok(Vec::new())
    }

    async fn probe(&self) -> Result<(), graph::Error> {
        Ok(())
    }
}

const SETTINGS: &str = r#"
[service_bus]
connection_string = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=a2V5"
queue = "contacts"
[identity]
tenant = "t"
client_id = "c"
client_secret = "s"
[retry]
first_delay = "10s"
longest_delay = "20s"
"#;

/// A body is the number of a user; one of other text cannot be read without a panic.
fn touchy_read(message: &Message, _: &Planner, _: RowGrounds<'_>, _: judge::Reported<'_>) -> Intake {
    let body = message.body.as_ref().expect("has a body");
    let number: u128 = str::from_utf8(body).expect("text").parse().expect("this reading panics");
    let name = Property::named("givenName").expect("known");
    let patch = UserPatch::new([(name, PropertyValue::Text("v".into()))]).expect("one");
    let id = Uuid::from_u128(number);
    let planned = Planned {
        user: UserId(id),
        contact: ContactId(id),
        organization: None,
        version: None,
        read: None,
        patch,
        member: None,
    };
    Intake::Work(vec![planned], Failures::default())
}

#[derive(Default)]
struct Run {
    extra: &'static str,
    refusal: Option<Class>,
    blind: bool,
    /// Properties of all messages.
    properties: servicebus::ApplicationProperties,
}

impl Run {
    /// Runs the pipeline over these bodies until each has been settled, with a clock that nobody waits for.
    async fn over(self, bodies: &[&'static str]) -> (Vec<Settlement>, Vec<Outgoing>) {
        self.observed(bodies, observer()).await
    }

    /// The same, told to an observer.
    async fn observed(
        self,
        bodies: &[&'static str],
        observer: Arc<Observer>,
    ) -> (Vec<Settlement>, Vec<Outgoing>) {
        self.through(bodies, observer, Arc::new(Touchy), None).await
    }

    /// The same, with another directory, and as one of several replicas.
    async fn through(
        self,
        bodies: &[&'static str],
        observer: Arc<Observer>,
        directory: Arc<impl Directory>,
        lease: Option<LeaseSeat>,
    ) -> (Vec<Settlement>, Vec<Outgoing>) {
        let record = Arc::new(Record::default());
        let delivery = |(number, body): (usize, &&'static str)| {
            let message = Message {
                sequence: SequenceNumber(i64::try_from(number).expect("few")),
                enqueued: Some(clock::now()),
                message_id: Some(format!("m-{number}").into()),
                properties: self.properties.clone(),
                body: Ok(Bytes::from_static(body.as_bytes())),
                ..Message::default()
            };
            let lock = LockToken(Uuid::from_u128(number as u128));
            Delivery::new(message, lock, Instant::now(), Arc::clone(&record) as Arc<dyn Settles>)
        };
        let waiting = Mutex::new(bodies.iter().enumerate().map(delivery).collect());
        let (credit, blind) = (watch::Sender::new(0), self.blind);
        let queue = Shelf { waiting, record: Arc::clone(&record), credit, refusal: self.refusal, blind };
        let text = format!("{SETTINGS}{}", self.extra);
        let settings = settings::parse(Some((Path::new("test"), &text)), Vec::new()).expect("good settings");
        let options = PipelineOptions::of(&settings);
        let mut pipeline = Pipeline::new(Arc::new(queue), directory, options, observer, lease);
        pipeline.read = touchy_read;
        let (stop, stopped) = watch::channel(false);
        let run = tokio::spawn(pipeline.run(stopped));
        let settled = || record.settled.lock().expect("no panic under the lock").len();
        while settled() < bodies.len() {
            sleep(Duration::from_millis(100)).await;
        }
        stop.send_replace(true);
        run.await.expect("the pipeline ends well");
        let mut settled = std::mem::take(&mut *record.settled.lock().expect("no panic under the lock"));
        settled.sort_by_key(|(lock, _)| *lock);
        let copies = std::mem::take(&mut *record.copies.lock().expect("no panic under the lock"));
        (settled.into_iter().map(|(_, settlement)| settlement).collect(), copies)
    }
}

fn reason(settlement: &Settlement) -> Option<DeadLetterReason> {
    match settlement {
        Settlement::DeadLetter(letter) => {
            DeadLetterReason::ALL.into_iter().find(|reason| reason.as_str() == &*letter.reason)
        }
        Settlement::Complete | Settlement::Remove | Settlement::Abandon | Settlement::Release => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_reading_brings_the_message_back_once_and_then_dead_letters_it() {
    let (settled, copies) = Run::default().over(&["nonsense", "101"]).await;
    assert_eq!(settled, [Settlement::Remove, Settlement::Complete]);
    let [copy] = &copies[..] else { panic!("one copy, not {copies:?}") };
    let again = Run { properties: copy.properties.clone(), ..Run::default() };
    let (settled, copies) = again.over(&["nonsense", "101"]).await;
    assert_eq!(reason(&settled[0]), Some(DeadLetterReason::InternalError));
    assert_eq!((&settled[1], copies.len()), (&Settlement::Complete, 0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_write_is_tried_again_and_then_dead_letters_that_message_alone() {
    let (settled, copies) = Run::default().over(&["1", "101", "2"]).await;
    let reasons: Vec<_> = settled.iter().map(reason).collect();
    let internal = Some(DeadLetterReason::InternalError);
    assert_eq!((reasons, copies.len()), (vec![internal, None, internal], 0));
    assert_eq!(settled[1], Settlement::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_second_look_stops_nobody() {
    let guard = "[guard]\nattribute = \"extensionAttribute1\"\nverify_after = \"10s\"\n";
    let run = Run { extra: guard, ..Run::default() };
    let (settled, copies) = run.over(&["100", "101", "102"]).await;
    assert_eq!(settled, [Settlement::Remove, Settlement::Complete, Settlement::Complete]);
    // The look at the first never succeeds, so its message is handed back for later in the end.
    assert_eq!(copies.iter().map(|copy| &*copy.body).collect::<Vec<_>>(), [b"100"]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_cannot_be_looked_through_for_what_is_held_is_taken_from_all_the_same() {
    const GUARD: &str = "[guard]\nattribute = \"extensionAttribute1\"\n[mass_change]\nusers = 5\n";
    for (extra, blind, waits) in [("", true, false), (GUARD, false, false), (GUARD, true, true)] {
        let (begun, observer) = (Instant::now(), observer());
        let run = Run { extra, blind, ..Run::default() };
        let (settled, copies) = run.observed(&["101", "102"], Arc::clone(&observer)).await;
        assert_eq!((settled, copies.len()), (vec![Settlement::Complete; 2], 0));
        let long = begun.elapsed() >= Duration::from_secs(9);
        assert_eq!(long, waits, "{:?} with {extra:?}", begun.elapsed());
        let warnings = observer.health.warnings(Timestamp::UNIX_EPOCH);
        let unknown = warnings.iter().find(|warned| warned.warning == Warning::MassChangeUnknown);
        let told = unknown.map(|warned| warned.fault.text.as_str());
        assert_eq!(told.is_some(), waits, "{told:?}");
        assert!(told.is_none_or(|told| told.contains("up to 5 more users alike")), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_of_which_no_copy_can_be_sent_is_given_back_untouched() {
    let run = Run { refusal: Some(Class::Installation), ..Run::default() };
    assert_eq!(run.over(&["nonsense"]).await.0, [Settlement::Release]);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_copy_the_queue_refuses_for_itself_is_dead_lettered() {
    let run = Run { refusal: Some(Class::Permanent), ..Run::default() };
    let (settled, _) = run.over(&["nonsense"]).await;
    assert_eq!(reason(&settled[0]), Some(DeadLetterReason::CopyRefused));
    let Settlement::DeadLetter(letter) = &settled[0] else { unreachable!("it has a reason") };
    assert!(letter.description.contains("the queue refuses the copy for a later try"), "{letter:?}");
}
