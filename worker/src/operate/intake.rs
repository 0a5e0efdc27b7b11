//! Stopping and allowing again that messages are taken from the queue, by its own status.
//!
//! The status is what every replica, the portal and every other tool see, it outlives all of them, and senders go on: Dataverse's
//! messages wait in the queue. So no protocol of ours is needed, and nobody can overlook it.

use servicebus::admin::{self, AdminClient, Describe, Status};

/// What somebody wants of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// That it hands out no more messages.
    Pause,
    /// That it hands them out again.
    Resume,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntakeChange {
    /// It is so from now on.
    Done,
    /// It was so before.
    Already,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The management interface gave no answer that can be used, or refused.
    #[error("the status of the queue cannot be read or changed")]
    Admin(#[source] admin::Error),
    /// Somebody set it for another purpose, which would be lost.
    #[error(
        "its status is {0}, which contactsync did not set; whoever set it has to take it back in the portal, or by az \
         servicebus queue update --status Active"
    )]
    Foreign(Box<str>),
}

impl Wish {
    /// The status that fulfils it, if that may be set in place of the present one; `None` if nothing has to be done.
    fn change(self, now: &Status) -> Result<Option<Status>, Error> {
        match (self, now) {
            (Self::Pause, Status::Active) => Ok(Some(Status::ReceiveDisabled)),
            (Self::Resume, Status::ReceiveDisabled) => Ok(Some(Status::Active)),
            (Self::Pause, Status::ReceiveDisabled) | (Self::Resume, Status::Active) => Ok(None),
            (_, Status::Disabled | Status::SendDisabled | Status::Other(_)) => {
                let name = now.name();
                Err(Error::Foreign(if name.is_empty() { "not told" } else { name }.into()))
            }
        }
    }

    /// Makes it so.
    pub(crate) async fn fulfil(self, queue: &AdminClient) -> Result<IntakeChange, Error> {
        let now = queue.describe().await.map_err(Error::Admin)?.properties.status;
        let Some(status) = self.change(&now)? else { return Ok(IntakeChange::Already) };
        queue.set_status(&status).await.map_err(Error::Admin)?;
        Ok(IntakeChange::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_set_for_this_purpose_is_changed() {
        use Status::{Active, Disabled, Other, ReceiveDisabled, SendDisabled};
        let change = |wish: Wish, now: &Status| wish.change(now).ok();
        assert_eq!(change(Wish::Pause, &Active), Some(Some(ReceiveDisabled)));
        assert_eq!(change(Wish::Pause, &ReceiveDisabled), Some(None));
        assert_eq!(change(Wish::Resume, &ReceiveDisabled), Some(Some(Active)));
        assert_eq!(change(Wish::Resume, &Active), Some(None));
        for foreign in [Disabled, SendDisabled, Other("Creating".into()), Other("".into())] {
            assert_eq!(change(Wish::Pause, &foreign), None, "{foreign:?}");
            assert_eq!(change(Wish::Resume, &foreign), None, "{foreign:?}");
        }
    }
}
