//! `contactsync apply`: one contact to its user because a person says so, whatever a pre image shows.

pub(super) mod case;
mod tell;

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use servicebus::Message;
use shared::{
    change::Change,
    engine::intake::DecodedBody,
    ids::{ContactId, SequenceNumber},
};
use uuid::Uuid;

use self::{
    case::{Case, Order},
    tell::Manner,
};
use super::{
    body, fitted,
    global::Global,
    print,
    queues::{dead_letter_at, start_log},
    runtime::runtime,
    wiring,
};
use crate::{
    identity::Identity,
    preview::{judge, render::Values},
    settings::{GraphAlone, Needs, QueueAndGraph, Settings},
};

/// As many contacts as an error lists.
const LISTED: usize = 20;

/// Options of `apply`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_help = "\
The change is planned as `run` plans it, but for one thing: every mapped column that the message carries, among the \
columns that changed or else in a post image, is written as if it had changed. A pre image that shows the same value \
keeps nothing back. What the message does not carry stays as it is; images leave empty columns out.

Without --yes nothing is written; it is told what would be, beside what the user has now.

With guard.attribute, values that a newer change has set are left alone, as in `run`; --overrule writes them all the \
same, and the mark stays at the newer version, so that changes from before it are kept out as they were. A running \
worker may write to the same user at the same moment: the guard keeps the two apart. Without a guard see to it that no \
message of this user waits or is under way.

--overrule also moves a sign-in address that link.match keeps where it is, and makes a user who belongs to another \
contact (link.owner_attribute) this one's. Look first whether contact and user are the same person: whoever signs in with \
the new address has the account. What [filter] asks of users is not overruled.

A dead letter stays in its queue, also when it has been written: look at the user first, then take it out with \
contactsync dead-letters purge.

Examples:
  contactsync apply contact.json                          what would be written for a captured body
  contactsync apply contact.json --yes                    write it
  contactsync apply --dead-letter 4711                    the same for a dead letter, by its number
  contactsync apply --dead-letter 4711 --overrule --yes   also what is older than the user has
  contactsync apply many.json --contact ID                one of several contacts in a body

Exit codes: 0 done, or nothing has to be; 1 it cannot be written; 2 wrong usage; 78 bad settings.")]
pub struct Args {
    /// The body of a message; - reads standard input.
    #[arg(value_name = "FILE", required_unless_present = "dead_letter", conflicts_with = "dead_letter")]
    file: Option<PathBuf>,
    /// Use a dead letter instead of a file: its sequence number, from `dead-letters list`.
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(0..))]
    dead_letter: Option<i64>,
    /// Content type of the file. Rarely needed: the format is detected from the bytes.
    #[arg(long, value_name = "TYPE", conflicts_with = "dead_letter")]
    content_type: Option<String>,
    /// Id of the contact, if the message is about several.
    #[arg(long, value_name = "ID", value_parser = contact)]
    contact: Option<ContactId>,
    /// Write. Without this, only print what would be written.
    #[arg(long)]
    yes: bool,
    /// Also write what the version mark or the link settings would hold back.
    #[arg(long)]
    overrule: bool,
    /// Also print the values of a dead letter. They are personal data. Values of a file are always printed.
    #[arg(long, requires = "dead_letter")]
    values: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

fn contact(text: &str) -> Result<ContactId, &'static str> {
    Uuid::try_parse(text.trim()).map(ContactId).map_err(|_| "must be the id of a contact, a GUID")
}

/// Shows it, and does it if asked to.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let Some(file) = &args.file else {
        let settings: Settings<QueueAndGraph> = global.settings()?;
        start_log(&settings.telemetry)?;
        // clap asks for one of the two.
        let sequence = SequenceNumber(args.dead_letter.unwrap_or_default());
        return runtime()?.block_on(async {
            carry_out(&settings, dead_letter_at(&settings, sequence).await?, args).await
        });
    };
    let settings: Settings<GraphAlone> = global.settings()?;
    start_log(&settings.telemetry)?;
    let message = body::message(file, args.content_type.as_deref())?;
    runtime()?.block_on(carry_out(&settings, message, args))
}

async fn carry_out<N>(settings: &Settings<N>, message: Message, args: &Args) -> anyhow::Result<ExitCode>
where
    N: Needs<Identity = Identity>,
{
    let planner = &settings.planner;
    let cases = match judge::report(&message) {
        Err(letter) => vec![Case::unread(letter)],
        Ok(DecodedBody::Nothing(why)) => vec![Case::nothing(why)],
        Ok(DecodedBody::Changes(changes, unread)) => {
            let directory = wiring::directory(settings, wiring::clients(&settings.connection)?);
            let directory = if args.overrule { directory.taking_over() } else { directory };
            let order = Order { directory: &directory, planner, write: args.yes, overrule: args.overrule };
            let mut cases = Vec::new();
            for change in chosen(changes, args.contact)? {
                let case = Case::of(change, &message, &order).await;
                let failed = case.failed();
                cases.push(case);
                // Later changes of the contact build on what could not be written.
                if failed {
                    break;
                }
            }
            cases.extend(unread.letter().map(Case::unread));
            cases
        }
    };
    let manner = Manner {
        write: args.yes,
        values: Values::from(args.dead_letter.is_none() || args.values),
        guarded: settings.guard.attribute.is_some(),
        dead_letter: args.dead_letter,
    };
    print(&if args.json { manner.json(&cases) } else { fitted(&manner.text(&cases)) })?;
    Ok(ExitCode::from(u8::from(cases.iter().any(Case::failed))))
}

/// The changes of the one contact that is meant, in the order of the message.
fn chosen(changes: Vec<Change>, contact: Option<ContactId>) -> anyhow::Result<Vec<Change>> {
    let mut contacts: Vec<_> = changes.iter().map(|change| change.contact).collect();
    contacts.sort_unstable();
    contacts.dedup();
    let contact = match (contact, &*contacts) {
        (Some(contact), _) if contacts.contains(&contact) => contact,
        (Some(contact), _) => {
            bail!("the message is not about contact {contact}, but about {}", list(&contacts))
        }
        (None, [one]) => *one,
        (None, _) => {
            let (count, all) = (contacts.len(), list(&contacts));
            bail!("the message is about {count} contacts; choose one with --contact: {all}")
        }
    };
    Ok(changes.into_iter().filter(|change| change.contact == contact).collect())
}

fn list(contacts: &[ContactId]) -> String {
    let mut text: Vec<_> = contacts.iter().take(LISTED).map(ToString::to_string).collect();
    if contacts.len() > LISTED {
        text.push(format!("and {} more", contacts.len() - LISTED));
    }
    text.join(", ")
}
