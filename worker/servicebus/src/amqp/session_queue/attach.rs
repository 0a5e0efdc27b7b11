//! The link that holds a session. It asks for it by a filter, and never for a message.

use fe2o3_amqp::{Receiver, link::CreditMode, session::SessionHandle};
use fe2o3_amqp_types::{
    definitions::{Fields, ReceiverSettleMode, SenderSettleMode},
    messaging::{FilterSet, Source},
};
use jiff::Timestamp;
use serde_amqp::{Value, primitives::Symbol};
use uuid::Uuid;

use crate::{
    amqp::{connection::Connection, faults::ErrorContext, recovery::Failure, wall::Numbered},
    error::Error,
};

pub(super) const ATTACHING: &str = "accepting a session";
const HOLDING: &str = "holding a session";
const FILTER: &str = "com.microsoft:session-filter";
const LOCKED_UNTIL: &str = "com.microsoft:locked-until-utc";
const WAIT: &str = "com.microsoft:timeout";
/// Milliseconds that the service may wait for the session, if it waits at all.
const LONGEST_WAIT: u32 = 5_000;
/// 1970 in the ticks of .NET: tenths of microseconds since the year 1.
const UNIX_EPOCH: i64 = 621_355_968_000_000_000;

/// A link that holds a session. Dropping it ends its AMQP session, and with that the service takes the session back.
pub(super) struct SessionLink {
    pub(super) name: String,
    pub(super) locked_until: Option<Timestamp>,
    receiver: Receiver,
    // Of AMQP, not of Service Bus. Nothing else is in it, so that its end takes nothing else down, and nothing is left of
    // an attach that was given up half-way.
    session: SessionHandle<()>,
}

impl SessionLink {
    /// Asks for the session on a connection that may use the entity already.
    pub(super) async fn attach(
        connection: &Connection,
        entity: &str,
        session_id: &str,
    ) -> Result<Self, Failure> {
        let mut session = connection.session().await?;
        let name = format!("{entity}-session-{}", Uuid::new_v4());
        let mut filter = FilterSet::new();
        filter.insert(FILTER.into(), Value::String(session_id.to_owned()));
        let mut properties = Fields::new();
        properties.insert(WAIT.into(), Value::Uint(LONGEST_WAIT));
        let receiver = Receiver::builder()
            .name(name.clone())
            .source(Source::builder().address(entity).filter(filter).build())
            .properties(properties)
            // Looked at below: the library only knows whether there is a filter.
            .verify_incoming_source(false)
            // Otherwise the service would remove what it sends, if it ever did.
            .sender_settle_mode(SenderSettleMode::Unsettled)
            .receiver_settle_mode(ReceiverSettleMode::First)
            .credit_mode(CreditMode::Manual)
            .auto_accept(false)
            .attach(&mut session)
            .await
            .map_err(|error| {
                ErrorContext { what: ATTACHING, host: connection.host() }.receiver_attach(error)
            })?;
        if granted(receiver.source().as_ref()) != Some(session_id) {
            let what = "it does not name the session that was asked for".into();
            return Err(Failure::link(Error::Protocol { doing: ATTACHING, what }));
        }
        let locked_until = receiver.properties(|properties| locked_until(properties.as_ref()));
        Ok(Self { name, locked_until, receiver, session })
    }

    /// Waits for the end of the link, whoever ends it.
    pub(super) async fn end(&mut self, host: &str) -> Failure {
        let doing = ErrorContext { what: HOLDING, host };
        match self.receiver.recv::<Numbered>().await {
            Err(error) => doing.recv(error),
            // Without credit nothing passes the wall.
            Ok(_) => doing.link_ended("a message came that nobody asked for"),
        }
    }

    /// Detaches and waits for the answers.
    pub(super) async fn close(mut self) {
        // Whatever they are, the link is gone afterwards.
        drop(self.receiver.close().await);
        drop(self.session.end().await);
    }
}

/// The session that an answer grants: by the filter as we write it, or by a described one, as other clients do.
fn granted(source: Option<&Source>) -> Option<&str> {
    match source?.filter.as_ref()?.get(&Symbol::from(FILTER))? {
        Value::String(session_id) => Some(session_id),
        Value::Described(described) => match &described.value {
            Value::String(session_id) => Some(session_id),
            _ => None,
        },
        _ => None,
    }
}

/// Until when the session is locked, by the clock of the service; nothing if the answer does not tell it properly.
fn locked_until(properties: Option<&Fields>) -> Option<Timestamp> {
    let Value::Long(ticks) = properties?.get(&Symbol::from(LOCKED_UNTIL))? else { return None };
    Timestamp::from_microsecond(ticks.checked_sub(UNIX_EPOCH)? / 10).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_amqp::{described::Described, descriptor::Descriptor};

    use super::*;

    fn source(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Source {
        let mut filter = FilterSet::new();
        for (name, value) in entries {
            filter.insert(name.into(), value);
        }
        Source::builder().address("locks").filter(filter).build()
    }

    fn described(value: Value) -> Value {
        Value::Described(Box::new(Described { descriptor: Descriptor::Code(0x0000_0137_0000_000c), value }))
    }

    #[test]
    fn a_session_is_granted_by_a_filter_that_names_it() {
        let text = || Value::String("contacts".into());
        for (answered, expected) in [
            (source([(FILTER, text())]), Some("contacts")),
            (source([(FILTER, described(text()))]), Some("contacts")),
            (source([("other", Value::Bool(true)), (FILTER, text())]), Some("contacts")),
            (source([(FILTER, Value::Null)]), None),
            (source([(FILTER, described(Value::Null))]), None),
            (source([(FILTER, Value::Symbol("contacts".into()))]), None),
            (source([(FILTER, Value::Binary(b"contacts".to_vec().into()))]), None),
            (source([("session-filter", text())]), None),
            (source([]), None),
            (Source::builder().address("locks").build(), None),
        ] {
            assert_eq!(granted(Some(&answered)), expected, "{answered:?}");
        }
        assert_eq!(granted(None), None);
    }

    fn until(value: Value) -> Option<Timestamp> {
        let mut properties = Fields::new();
        properties.insert(LOCKED_UNTIL.into(), value);
        locked_until(Some(&properties))
    }

    #[test]
    fn the_end_of_the_lock_is_told_in_ticks_of_dotnet() {
        let instant: Timestamp = "2026-11-29T15:00:30.5Z".parse().expect("a time");
        assert_eq!(until(Value::Long(639_315_612_305_000_000)), Some(instant));
        assert_eq!(until(Value::Long(UNIX_EPOCH)), Some(Timestamp::UNIX_EPOCH));
        // What other clients take for the year 1 without a word.
        let millis = Value::Timestamp(1_795_964_430_500.into());
        for odd in [millis, Value::Ulong(7), Value::String("soon".into()), Value::Null] {
            assert_eq!(until(odd.clone()), None, "{odd:?}");
        }
        assert_eq!(locked_until(Some(&Fields::new())), None);
        assert_eq!(locked_until(None), None);
    }

    proptest! {
        #[test]
        fn any_ticks_are_a_time_or_none(ticks: i64) {
            let expected = i128::from(ticks) - i128::from(UNIX_EPOCH);
            if let Some(time) = until(Value::Long(ticks)) {
                prop_assert_eq!(i128::from(time.as_microsecond()), expected / 10);
            }
        }
    }
}
