//! What the service answers about a session, and what its refusals mean.

use bytes::Bytes;
use jiff::Timestamp;
use shared::class::Class;

use crate::{
    amqp::{
        recovery::{Condition, Failure},
        rpc::Reply,
    },
    error::{Error, SessionError},
};

/// The constructor of a timestamp.
const TIMESTAMP: u8 = 0x83;

/// The state that a reply carries, without a copy. That there is none has to be said: silence is no answer, because a lock
/// that was never taken and one that was left behind are told apart by it.
pub(in crate::amqp) fn state(doing: &'static str, reply: &Reply) -> Result<Option<Bytes>, Failure> {
    let Some(state) = reply.get("session-state") else { return Err(nonsense(doing, "it has no state")) };
    if state.is_null() {
        return Ok(None);
    }
    let bytes = state.binary().ok_or_else(|| nonsense(doing, "the state is not made of bytes"))?;
    Ok(Some(reply.part(bytes)))
}

/// Until when the lock holds now, by the clock of the service.
pub(in crate::amqp) fn expiration(doing: &'static str, reply: &Reply) -> Result<Timestamp, Failure> {
    let time = reply.get("expiration").filter(|time| time.code == TIMESTAMP);
    let time = time.and_then(|time| Timestamp::from_millisecond(time.signed()?).ok());
    time.ok_or_else(|| nonsense(doing, "it has no expiration"))
}

fn nonsense(doing: &'static str, what: &str) -> Failure {
    Failure::link(Error::Protocol { doing, what: what.into() })
}

/// Whether the service says that the session is not ours: its answer 410 in all its words, and that it knows no such
/// session. Where that is not so certain, accepting the session again finds out.
pub(super) fn is_lost(failure: &Failure) -> bool {
    use Condition as C;
    match failure.condition {
        Some(C::SessionNotFound | C::SessionCannotBeLocked | C::StoreLockLost | C::LinkStolen) => true,
        _ => failure.is_lock_lost(),
    }
}

/// A failure that does not tell who holds the session: one that passes, or one that a person has to mend.
pub(super) fn refusal(entity: &str, failure: Failure) -> SessionError {
    match failure.error.class() {
        Class::Transient | Class::Throttled { .. } => SessionError::Unanswered(failure.error),
        Class::Permanent | Class::Installation => {
            let what = remedy(entity, failure.condition.as_ref());
            SessionError::Refused { what: what.into(), cause: failure.error }
        }
    }
}

fn remedy(entity: &str, condition: Option<&Condition>) -> String {
    use Condition as C;
    match condition {
        Some(C::NotFound | C::ResourceDeleted) => format!(
            "there is no queue {entity} in the namespace; create it with sessions, which cannot be switched on later: \
             az servicebus queue create --enable-session true"
        ),
        Some(C::NotAllowed) => format!(
            "the queue {entity} has no sessions, and they cannot be switched on later; delete it and create it anew, in \
             a namespace of the Standard or Premium tier: az servicebus queue create --enable-session true"
        ),
        Some(C::UnauthorizedAccess | C::AuthFailed | C::PublisherRevoked) => format!(
            "the right to listen at the queue {entity} is missing; assign the role Azure Service Bus Data Receiver for \
             it or for the namespace, or use the key of a policy of the namespace with the claim Listen"
        ),
        Some(C::EntityDisabled) => {
            format!("the queue {entity} is disabled; set its status to active")
        }
        _ => format!("the queue {entity} cannot be used for sessions"),
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::{
        messaging::{
            AmqpValue, ApplicationProperties, Data, Message, SerializableBody,
            message::__private::Serializable,
        },
        primitives::SimpleValue,
    };
    use proptest::prelude::*;
    use serde_amqp::Value;

    use super::*;
    use crate::amqp::{management::map, rpc::read_reply};

    const DOING: &str = "asking";

    fn reply<B: SerializableBody>(body: B) -> Reply {
        let mut properties = ApplicationProperties::default();
        properties.insert("statusCode".to_owned(), SimpleValue::Int(200));
        let message = Message {
            header: None,
            delivery_annotations: None,
            message_annotations: None,
            properties: None,
            application_properties: Some(properties),
            body,
            footer: None,
        };
        let encoded = serde_amqp::to_vec(&Serializable(message)).expect("encodes");
        read_reply(DOING, encoded.into()).expect("a reply")
    }

    fn with(name: &'static str, value: Value) -> Reply {
        reply(AmqpValue(map([(name, value)])))
    }

    fn bytes(bytes: &[u8]) -> Value {
        Value::Binary(bytes.to_vec().into())
    }

    fn is_nonsense<T>(answer: Result<T, Failure>) -> bool {
        matches!(
            answer.map_err(|failure| refusal("locks", failure)),
            Err(SessionError::Unanswered(Error::Protocol { .. }))
        )
    }

    proptest! {
        #[test]
        fn a_state_is_read_as_it_was_written(written in proptest::option::of(any::<Vec<u8>>())) {
            let value = written.as_deref().map_or(Value::Null, bytes);
            let read = state(DOING, &with("session-state", value)).expect("a state");
            prop_assert_eq!(read.as_deref(), written.as_deref());
        }

        #[test]
        fn an_expiration_is_a_timestamp_that_a_calendar_has(millis: i64) {
            let read = expiration(DOING, &with("expiration", Value::Timestamp(millis.into())));
            match Timestamp::from_millisecond(millis) {
                Ok(time) => prop_assert_eq!(read.expect("a time"), time),
                Err(_) => prop_assert!(is_nonsense(read)),
            }
        }
    }

    #[test]
    fn what_is_no_answer_says_nothing() {
        for odd in [
            reply(AmqpValue(Value::Null)),
            reply(AmqpValue(map([]))),
            reply(AmqpValue(Value::List(vec![Value::Null]))),
            reply(Data(b"state".to_vec().into())),
            with("session-state", Value::String("state".into())),
            with("session-state", map([])),
            with("session-state", Value::Bool(false)),
        ] {
            assert!(is_nonsense(state(DOING, &odd)), "{odd:?}");
        }
        for odd in [
            reply(AmqpValue(map([]))),
            with("expiration", Value::Null),
            with("expiration", Value::Long(1_795_964_430_500)),
            with("expiration", Value::String("2026-11-29T15:00:30Z".into())),
            with("expirations", Value::Timestamp(0.into())),
        ] {
            assert!(is_nonsense(expiration(DOING, &odd)), "{odd:?}");
        }
    }

    #[test]
    fn a_lock_that_is_gone_is_told_from_a_service_that_is_busy() {
        let refused = |condition| Failure::refused(DOING, Condition::parse(condition), None);
        for lost in [
            "com.microsoft:session-lock-lost",
            "com.microsoft:message-lock-lost",
            "com.microsoft:session-cannot-be-locked",
            "com.microsoft:session-not-found",
            "com.microsoft:store-lock-lost",
            "amqp:link:stolen",
        ] {
            assert!(is_lost(&refused(lost)), "{lost}");
        }
        // By its status alone.
        assert!(is_lost(&Failure::refused(DOING, Condition::of_status(None, 410), None)));
        for passing in [
            "com.microsoft:server-busy",
            "com.microsoft:timeout",
            "com.microsoft:operation-cancelled",
            "com.microsoft:partition-not-owned",
            "amqp:resource-limit-exceeded",
            "amqp:internal-error",
            "amqp:link:detach-forced",
            "amqp:connection:forced",
            "com.microsoft:new-thing",
        ] {
            assert!(!is_lost(&refused(passing)), "{passing}");
            let meant = refusal("locks", refused(passing));
            assert!(matches!(meant, SessionError::Unanswered(_)), "{passing}: {meant:?}");
        }
        let silent = Failure::link(Error::Timeout { doing: DOING, after: std::time::Duration::ZERO });
        assert!(!is_lost(&silent));
        assert!(matches!(refusal("locks", silent), SessionError::Unanswered(Error::Timeout { .. })));
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        for (condition, remedy) in [
            ("amqp:not-found", "create it with sessions"),
            ("amqp:resource-deleted", "create it with sessions"),
            ("amqp:not-allowed", "delete it and create it anew"),
            ("amqp:unauthorized-access", "assign the role Azure Service Bus Data Receiver"),
            ("com.microsoft:auth-failed", "assign the role Azure Service Bus Data Receiver"),
            ("com.microsoft:publisher-revoked", "assign the role Azure Service Bus Data Receiver"),
            ("com.microsoft:entity-disabled", "set its status to active"),
            ("amqp:not-implemented", "cannot be used for sessions"),
        ] {
            let failure = Failure::refused(DOING, Condition::parse(condition), Some("no"));
            let meant = refusal("locks", failure);
            let SessionError::Refused { what, cause } = &meant else { panic!("{condition}: {meant:?}") };
            assert!(what.contains(remedy) && what.contains("locks"), "{condition}: {what}");
            assert_eq!(cause.to_string(), format!("asking: service bus answered {condition}: no"));
        }
        // A fault that is none of the queue's tells itself what to do.
        let cause = crate::error::Cause::new("unknown issuer");
        let tls = Failure::connection(Error::Tls { host: "ns:5671".into(), cause });
        assert!(matches!(refusal("locks", tls), SessionError::Refused { cause: Error::Tls { .. }, .. }));
    }
}
