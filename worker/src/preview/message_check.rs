//! What one captured message says about the settings: whether it can be read, shows the user, and holds what the
//! mapping needs. Names of columns and images, no values.

use std::collections::BTreeSet;

use servicebus::{Message, clock};
use shared::{
    change::{Change, Operation},
    decode::{
        self, AUTOMATIC_IMAGE, Context, DecodedMessage, Format, Subject, context::Images,
        value::ContractMember,
    },
    ids::SequenceNumber,
    link_watch::{Link, LinkWatch, Verdict},
    mapping::{MappingRow, ValueSource},
    patch::MovesFrom,
    plan::Planner,
    property::PropertyKind,
};

use super::{Preview, judge, render, waiting};
use crate::settings::check::{Probe, Severity};

const BODY: &str = "body";
const ORGANIZATION: &str = "organization";
const IMAGES: &str = "images";
const LINK: &str = "link";
const COLUMN: &str = "column";
const OUTCOME: &str = "outcome";

/// Judges the settings by a message.
#[must_use]
pub(crate) fn check(message: &Message, planner: &Planner) -> Vec<Probe> {
    let preview = Preview::of(message, planner, clock::now());
    let probes = judge::guarded(|| probes(message, planner, &preview));
    // If reading it panics, that is what becomes of it, too.
    probes.unwrap_or_else(|| vec![outcome(BODY, &preview)])
}

fn probes(message: &Message, planner: &Planner, preview: &Preview) -> Vec<Probe> {
    let Ok(decoded) = judge::decoded(message) else { return vec![outcome(BODY, preview)] };
    let mut probes = vec![read(&decoded)];
    if let Subject::Contacts { changes, .. } = &decoded.subject {
        let touches_users =
            |change: &Change| !matches!(change.operation, Operation::Delete | Operation::Administrative);
        probes.extend(organization(&decoded, planner));
        if !decoded.truncated && changes.iter().any(touches_users) {
            probes.push(images(message, &decoded, changes, planner));
            probes.push(link(changes, planner));
            probes.extend(columns(changes, planner));
        }
    }
    probes.push(outcome(OUTCOME, preview));
    probes
}

fn read(message: &DecodedMessage) -> Probe {
    let format = match message.format {
        Format::Json => "JSON",
        Format::Xml => "XML",
        Format::Binary => ".NET binary XML",
    };
    let what = match &message.subject {
        Subject::Contacts { changes, unread } => match changes.len() + unread.len() {
            1 => "of a contact".to_owned(),
            several => format!("of {several} contacts"),
        },
        Subject::Stripped => "of contacts".to_owned(),
        Subject::NoChange => "that changes no contact".to_owned(),
        Subject::Unsupported => "that is not known".to_owned(),
        Subject::OtherEntity { .. } => "of another table".to_owned(),
    };
    let told = format!("{format}, {} {what}", name(&message.name));
    if message.truncated || message.subject == Subject::Stripped {
        let remedy = "register fewer columns in the images of the step: Dataverse cuts messages above 192 KB";
        return Probe::failed(BODY, format!("{told}, whose columns Dataverse has removed"), remedy);
    }
    Probe::good(BODY, told)
}

/// The name of a message, which comes from the body, as far as it can be one.
fn name(name: &str) -> &str {
    let known = name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if known { name } else { "a message of an odd name" }
}

fn organization(message: &DecodedMessage, planner: &Planner) -> Option<Probe> {
    if planner.organizations.is_empty() {
        return None;
    }
    let told = message.organization.map_or_else(|| "none".to_owned(), |id| id.to_string());
    let accepted = message.organization.is_some_and(|id| planner.organizations.contains(&id));
    Some(if accepted {
        Probe::good(ORGANIZATION, format!("{told} is accepted"))
    } else {
        let remedy = "add it to filter.organizations, if it is yours";
        Probe::failed(ORGANIZATION, format!("{told} is not in filter.organizations"), remedy)
    })
}

/// The images that came along, and what those that did not would be good for.
fn images(message: &Message, decoded: &DecodedMessage, changes: &[Change], planner: &Planner) -> Probe {
    let body = message.body.as_deref().unwrap_or_default();
    let payload = decode::open(body, message.content_type.as_deref()).ok();
    let context = payload.as_ref().and_then(|payload| payload.context().ok());
    let registered = context.as_ref().map(aliases).unwrap_or_default();
    let told = if registered.is_empty() { "none".to_owned() } else { registered.join(", ") };
    if decoded.name.ends_with("Multiple") {
        return Probe::good(IMAGES, format!("{told}; messages about several contacts bring none"));
    }
    let [change] = changes else { return Probe::good(IMAGES, told) };
    let wanted = wanted(planner);
    let update = change.operation != Operation::Create;
    let signs_in = planner.mapping.rows().iter().any(|row| row.property.rules().kind == PropertyKind::SignIn);
    let sets_link = change.columns.get(&planner.link_column).is_some();
    let unproven = sets_link && change.before.get(&planner.link_column).is_none();
    if update && signs_in && unproven && planner.moves_from(change) == MovesFrom::Nowhere {
        return Probe::found(
            Severity::Warning,
            IMAGES,
            format!(
                "{told}; the message sets {} and no pre image shows that it was so before, so it moves no sign-in address",
                planner.link_column
            ),
            "register a pre image with that column and the e-mail column on the step",
        );
    }
    if update && change.after.is_empty() {
        let remedy = format!("register a post image on the step, with {}", wanted.join(", "));
        let severity = if change.columns.get(&planner.link_column).is_some() {
            Severity::Note
        } else {
            Severity::Warning
        };
        return Probe::found(
            severity,
            IMAGES,
            format!("{told}; there is no post image of the contact"),
            &remedy,
        );
    }
    if update && change.before.is_empty() {
        let use_of = if signs_in {
            "it tells which sign-in address to change, and spares writes"
        } else {
            "it spares writes of values that did not change"
        };
        let what = format!("{told}; there is no pre image, which is not needed");
        let remedy = format!("register one with the mapped columns if you like: {use_of}");
        return Probe::found(Severity::Note, IMAGES, what, &remedy);
    }
    Probe::good(IMAGES, told)
}

/// The images that somebody has registered.
fn aliases(context: &Context<'_>) -> Vec<String> {
    let of = |kind: &str, images: &ContractMember<Images<'_>>| -> Vec<String> {
        let registered = images.items().iter().filter(|(alias, _)| alias != AUTOMATIC_IMAGE);
        registered
            .map(|(alias, image)| {
                let columns = image.as_ref().map_or(0, |image| image.attributes.items().len());
                format!("{kind} image {} with {columns} columns", name(alias))
            })
            .collect()
    };
    [of("post", &context.post_entity_images), of("pre", &context.pre_entity_images)].concat()
}

/// What a post image has to hold: the link, and columns that are needed though they did not change.
fn wanted(planner: &Planner) -> Vec<&str> {
    let needs_more =
        |row: &&MappingRow| !matches!(row.source, ValueSource::Column(_)) || row.require.is_some();
    let together = planner.mapping.rows().iter().filter(needs_more);
    let columns: BTreeSet<_> = together.flat_map(MappingRow::columns).collect();
    planner.link_columns().chain(columns).collect()
}

fn link(changes: &[Change], planner: &Planner) -> Probe {
    if !planner.shows_link() {
        let known = changes.iter().filter(|change| planner.linked_user(change).is_some()).count();
        let what = format!("link.rules find {known} of {} users without asking Graph", changes.len());
        return Probe::good(LINK, what);
    }
    let mut watch = LinkWatch::new(&planner.link_column);
    // Whom the message comes from has been told already.
    let anybody = Planner { organizations: Vec::new(), ..planner.clone() };
    watch.look(changes, &anybody, SequenceNumber(0));
    if let Verdict::Misconfigured(why, report) = watch.judge() {
        return Probe::failed(LINK, report.because(why), &waiting::remedy(why, &report));
    }
    match changes {
        [change] => link_of_one(change, &watch, planner),
        _ => link_of_many(changes, planner),
    }
}

fn link_of_one(change: &Change, watch: &LinkWatch, planner: &Planner) -> Probe {
    let column = &planner.link_column;
    let not_shown = |what: &str, remedy: &str| {
        let report = watch.report();
        let likeliest = report.likeliest.map_or_else(String::new, |other| {
            format!("; {other} holds a GUID: set mapping.link_column = \"{other}\" if that is the user's")
        });
        Probe::failed(LINK, format!("{column} {what}"), &format!("{remedy}{likeliest}"))
    };
    match Link::of(change, column) {
        Link::Linked => {
            Probe::good(LINK, format!("{column} holds a GUID, {}", places(change, column).join(" and ")))
        }
        Link::Empty => Probe::found(
            Severity::Warning,
            LINK,
            format!("{column} is empty, {}: the contact has no user", places(change, column).join(" and ")),
            "try a message of a contact that has one",
        ),
        Link::OwnId => not_shown("holds the contact's own id", "set mapping.link_column to another column"),
        Link::NoId if planner.passes_over_link(change) => Probe::found(
            Severity::Warning,
            LINK,
            format!(
                "{column} holds text that is no object id (a GUID), and link.on_foreign ignores such links"
            ),
            "try a message of a contact that has a user of this directory",
        ),
        Link::NoId => not_shown(
            "holds text that is no object id (a GUID)",
            "set it to the object id of the user, or choose another column",
        ),
        Link::NoText => not_shown("is no column of text", "set mapping.link_column to another column"),
        Link::Absent if change.operation == Operation::Create => Probe::found(
            Severity::Warning,
            LINK,
            format!("{column} is not set: the contact was created without a user"),
            "try a message of a contact that has one",
        ),
        Link::Absent if change.imaged => not_shown(
            "is neither in the target nor in an image",
            "if this contact has a user, add the column to the image of the step; if it has none, try a message of one \
             that has",
        ),
        Link::Absent => not_shown(
            "is not in the target, and no image came along",
            "register a post image with that column on the step",
        ),
    }
}

fn link_of_many(changes: &[Change], planner: &Planner) -> Probe {
    let column = &planner.link_column;
    let found = |wanted: Link| changes.iter().filter(|change| Link::of(change, column) == wanted).count();
    let (linked, empty) = (found(Link::Linked), found(Link::Empty));
    let foreign = changes.iter().filter(|change| planner.passes_over_link(change)).count();
    let passed_over = match foreign {
        0 => String::new(),
        some => format!("; in {some} it holds a text that link.on_foreign ignores"),
    };
    let what = format!(
        "{column} holds a GUID in {linked} of {} contacts, and is empty in {empty}{passed_over}",
        changes.len()
    );
    if linked + empty + foreign == changes.len() {
        return Probe::good(LINK, what);
    }
    let remedy = "messages about several contacts bring no image, so the others can only be told if what changes them \
                  sets the column as well; register the step on Update, which Dataverse also runs for each of several";
    Probe::failed(LINK, what, remedy)
}

/// Where a column is.
fn places(change: &Change, column: &str) -> Vec<&'static str> {
    let places = [
        (&change.columns, "in the target"),
        (&change.after, "in the post image"),
        (&change.before, "in the pre image"),
    ];
    places.into_iter().filter(|(columns, _)| columns.get(column).is_some()).map(|(_, place)| place).collect()
}

/// Every mapped column, and where it is.
fn columns(changes: &[Change], planner: &Planner) -> Vec<Probe> {
    let mapped: BTreeSet<_> = planner.mapping.rows().iter().flat_map(MappingRow::columns).collect();
    mapped.into_iter().map(|column| one_column(changes, column, planner)).collect()
}

fn one_column(changes: &[Change], column: &str, planner: &Planner) -> Probe {
    let places: BTreeSet<_> = changes.iter().flat_map(|change| places(change, column)).collect();
    if !places.is_empty() {
        let places = places.into_iter().rev().collect::<Vec<_>>().join(" and ");
        return Probe::good(COLUMN, format!("{column}: {places}"));
    }
    let together = planner.mapping.rows().iter().find(|row| {
        (!matches!(row.source, ValueSource::Column(_)) || row.require.is_some())
            && row.columns().any(|one| one == column)
    });
    match together {
        Some(row) => Probe::found(
            Severity::Warning,
            COLUMN,
            format!("{column}: nowhere, and {} needs it together with others", row.property),
            "add it to the post image of the step, if it is not empty",
        ),
        None => Probe::good(COLUMN, format!("{column}: not changed by this message")),
    }
}

/// What `run` would do with the message.
fn outcome(check: &'static str, preview: &Preview) -> Probe {
    let users: BTreeSet<_> = preview.writes.iter().map(|one| one.write.user).collect();
    if let Some(letter) = &preview.letter {
        let after = match users.len() {
            0 => String::new(),
            users => format!(", after {users} users were written"),
        };
        let (reason, why) = (letter.reason, letter.description.as_str());
        return Probe::failed(check, format!("would be a dead letter, {reason}{after}: {why}"), "");
    }
    if !preview.reads.is_empty() {
        return Probe::good(check, format!("its row would be read first: {}", render::outcome(preview).1));
    }
    if !preview.lookups.is_empty() {
        return Probe::good(check, format!("would be looked up first: {}", render::outcome(preview).1));
    }
    Probe::good(
        check,
        match preview.nothing {
            Some(why) => format!("would be completed: {}", why.explain()),
            None => format!("would write {} to {} users", render::outcome(preview).1, users.len()),
        },
    )
}
