//! What is held aside, and what that needs.

use std::time::Duration;

use shared::mass_change::MassChangePolicy;

use super::{GOOD, check, parse_text};

const USER: &str = "00000000-0000-0000-0000-000000000007";

fn policy(text: &str) -> MassChangePolicy {
    let settings = parse_text(&format!("{GOOD}{text}"), &[]);
    settings.unwrap_or_else(|problems| panic!("{problems}")).engine.mass_change
}

#[test]
fn nothing_is_held_until_a_number_of_users_is_set() {
    assert_eq!(policy(""), MassChangePolicy::default());
    let text = format!(
        "[guard]\nattribute = \"extensionAttribute15\"\n[mass_change]\nusers = 200\nwindow = \"5m\"\nexempt = [\"{USER}\"]\n"
    );
    let policy = policy(&text);
    assert_eq!(policy.users.map(u32::from), Some(200));
    assert_eq!(policy.window, Duration::from_mins(5));
    assert_eq!(policy.exempt.iter().map(ToString::to_string).collect::<Vec<_>>(), [USER]);
}

#[test]
fn what_is_let_through_later_needs_the_guard_and_what_is_held_a_queue() {
    check(
        "[mass_change]\nusers = 200\nexempt = [\"somebody\"]\n",
        &[],
        &[
            "mass_change.users: needs guard.attribute: what is let through later could overwrite newer values otherwise",
            "mass_change.exempt: must be a list of ids of Dataverse users (GUIDs in quotes)",
        ],
    );
    let subscription = [
        ("CONTACTSYNC__SERVICE_BUS__QUEUE", ""),
        ("CONTACTSYNC__SERVICE_BUS__TOPIC", "changes"),
        ("CONTACTSYNC__SERVICE_BUS__SUBSCRIPTION", "portal"),
    ];
    check(
        "[guard]\nattribute = \"extensionAttribute15\"\n[mass_change]\nusers = 200\n",
        &subscription,
        &[
            "mass_change.users: needs a queue: what is held aside is scheduled, and scheduled messages of a topic can be seen \
           by nobody; forward the subscription to a queue, and take from that",
        ],
    );
}
